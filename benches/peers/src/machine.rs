//! What this machine says of itself, and its clock.

use rustix::time::{ClockId, clock_gettime};

/// CPU time of this thread in nanoseconds: what others do on the machine does not count, but for the caches they share.
pub(crate) fn cpu_ns() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// The model, as Linux names it.
pub(crate) fn cpu_model() -> String {
    let cores = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cores.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    model.map_or_else(|| "unknown".to_owned(), |(_, model)| model.trim().to_owned())
}

/// Names and versions of what is compared, as this program was built with.
pub(crate) fn versions() -> String {
    const LOCK: &str = include_str!("../Cargo.lock");
    let version = |name: &str| {
        let (_, rest) = LOCK.split_once(&format!("name = \"{name}\"\nversion = \""))?;
        rest.split_once('"').map(|(version, _)| format!("{name} {version}"))
    };
    ["portcullis", "cedar-policy", "regorus", "casbin", "iam-rs"].into_iter().filter_map(version).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_version_is_known() {
        assert_eq!(super::versions().split(", ").count(), 5);
    }
}
