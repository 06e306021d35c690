//! The metrics page: counters of all workers summed when it is read. Labels come from configuration and closed lists only.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use prometheus::proto::{
    Bucket, Counter as CounterSample, Gauge, Histogram as HistogramSample, LabelPair, Metric, MetricFamily, MetricType,
};
use prometheus::{Encoder, TextEncoder};

use super::counters::{Counter, Histogram, ServiceCounters, WorkerCounters};
use super::feed::FeedStatus;
use super::issuer::IssuerStatus;
use crate::types::{Reason, Revision};

/// All metrics of the process.
#[derive(Default)]
pub struct Metrics {
    workers: Mutex<Vec<Arc<WorkerCounters>>>,
    services: Mutex<BTreeMap<Arc<str>, PerWorker>>,
    state: Mutex<Option<StateInfo>>,
    feed: OnceLock<Arc<FeedStatus>>,
    issuers: OnceLock<Vec<Arc<IssuerStatus>>>,
    reloads: AtomicU64,
    reloads_failed: AtomicU64,
    loaded_at_ms: AtomicI64,
}

/// One service's counters, with the index of the worker that writes them.
type PerWorker = Vec<(usize, Arc<ServiceCounters>)>;

/// What is in force.
struct StateInfo {
    revision: String,
    observed: Vec<(Arc<str>, bool)>,
    users: usize,
    keys: usize,
    policies: usize,
}

impl Metrics {
    /// Counters for a new worker.
    pub fn worker(&self) -> Arc<WorkerCounters> {
        let counters = Arc::new(WorkerCounters::default());
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&counters));
        counters
    }

    /// The counters of a worker for a service: the same ones after every reload.
    pub fn service(&self, worker: usize, name: &Arc<str>) -> Arc<ServiceCounters> {
        let mut services = self.services.lock().unwrap_or_else(PoisonError::into_inner);
        let counters = services.entry(Arc::clone(name)).or_default();
        if let Some((_, found)) = counters.iter().find(|(owner, _)| *owner == worker) {
            return Arc::clone(found);
        }
        let fresh = Arc::new(ServiceCounters::new(Arc::clone(name)));
        counters.push((worker, Arc::clone(&fresh)));
        fresh
    }

    /// Notes what came into force, when, and which services only observe.
    pub fn loaded(&self, revision: Revision, at_ms: i64, observed: Vec<(Arc<str>, bool)>, sizes: (usize, usize, usize)) {
        let (users, keys, policies) = sizes;
        let info = StateInfo { revision: revision.to_string(), observed, users, keys, policies };
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = Some(info);
        self.loaded_at_ms.store(at_ms, Relaxed);
    }

    /// Notes that what is in force follows a feed.
    pub fn follows(&self, status: Arc<FeedStatus>) {
        let _ = self.feed.set(status);
    }

    /// Notes whose tokens count, beside our own.
    pub fn trusts(&self, issuers: Vec<Arc<IssuerStatus>>) {
        let _ = self.issuers.set(issuers);
    }

    /// Counts a reload.
    pub fn reloaded(&self, good: bool) {
        let counter = if good { &self.reloads } else { &self.reloads_failed };
        counter.fetch_add(1, Relaxed);
    }

    /// The page, in the Prometheus text format 0.0.4.
    #[must_use]
    pub fn page(&self) -> Vec<u8> {
        let mut families = self.service_families();
        families.extend(self.worker_families());
        families.extend(self.state_families());
        families.extend(self.feed.get().into_iter().flat_map(|status| feed_families(status)));
        families.extend(issuer_families(self.issuers.get().map_or(&[], Vec::as_slice)));
        families.retain(|family| !family.get_metric().is_empty());
        let mut page = Vec::with_capacity(16 * 1024);
        match TextEncoder::new().encode(&families, &mut page) {
            Ok(()) => page,
            Err(error) => {
                tracing::error!(%error, "the metrics page could not be written");
                Vec::new()
            }
        }
    }

    fn service_families(&self) -> Vec<MetricFamily> {
        let mut requests = family(
            "portcullis_requests_total",
            "Requests by service and outcome: allowed, observed, or the reason of the refusal.",
            MetricType::COUNTER,
        );
        let mut would_deny = family(
            "portcullis_would_deny_total",
            "Requests that a service in observe mode forwarded although they would have been refused.",
            MetricType::COUNTER,
        );
        let mut responses = family("portcullis_responses_total", "Answers by service and class of status.", MetricType::COUNTER);
        let mut durations = family(
            "portcullis_request_duration_seconds",
            "Time from the head of a request to the end of its answer.",
            MetricType::HISTOGRAM,
        );
        let mut decisions = family("portcullis_decision_duration_seconds", "Time that the decision alone took.", MetricType::HISTOGRAM);
        for (name, workers) in self.services.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let sum = |read: &dyn Fn(&ServiceCounters) -> u64| workers.iter().map(|(_, counters)| read(counters)).sum::<u64>();
            let mut observed = 0;
            for (index, reason) in Reason::ALL.iter().enumerate() {
                let refused = sum(&|counters| counters.refused.get(index).map_or(0, Counter::get));
                if refused > 0 {
                    requests.mut_metric().push(count(&[("service", name), ("outcome", reason.code())], refused));
                }
                let would = sum(&|counters| counters.would_deny.get(index).map_or(0, Counter::get));
                if would > 0 {
                    would_deny.mut_metric().push(count(&[("service", name), ("reason", reason.code())], would));
                }
                observed += would;
            }
            requests.mut_metric().push(count(&[("service", name), ("outcome", "allowed")], sum(&|counters| counters.allowed.get())));
            if observed > 0 {
                requests.mut_metric().push(count(&[("service", name), ("outcome", "observed")], observed));
            }
            for (index, class) in ["1xx", "2xx", "3xx", "4xx", "5xx"].iter().enumerate() {
                let answered = sum(&|counters| counters.responses.get(index).map_or(0, Counter::get));
                if answered > 0 {
                    responses.mut_metric().push(count(&[("service", name), ("class", class)], answered));
                }
            }
            durations.mut_metric().push(histogram(&[("service", name)], workers.iter().map(|(_, counters)| &counters.duration)));
            decisions.mut_metric().push(histogram(&[("service", name)], workers.iter().map(|(_, counters)| &counters.decision)));
        }
        vec![requests, would_deny, responses, durations, decisions]
    }

    fn worker_families(&self) -> Vec<MetricFamily> {
        let workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = |read: fn(&WorkerCounters) -> &Counter| workers.iter().map(|worker| read(worker).get()).sum::<u64>();
        let total = |name: &str, help: &str, read: fn(&WorkerCounters) -> &Counter| {
            let mut found = family(name, help, MetricType::COUNTER);
            found.mut_metric().push(count(&[], sum(read)));
            found
        };
        let mut open = family("portcullis_connections", "Client connections open now.", MetricType::GAUGE);
        open.mut_metric().push(gauge(&[], whole(sum(|worker| &worker.connections_open))));
        vec![
            open,
            total("portcullis_connections_accepted_total", "Client connections accepted.", |worker| &worker.connections_accepted),
            total(
                "portcullis_connections_refused_total",
                "Client connections closed at once: too many, or past the proxies that a listener is for.",
                |worker| &worker.connections_refused,
            ),
            total("portcullis_connections_timed_out_total", "Client connections ended by a timeout.", |worker| {
                &worker.connections_timed_out
            }),
            total(
                "portcullis_connections_malformed_total",
                "Client connections ended by something that is not HTTP, or not the PROXY header that was due.",
                |worker| &worker.connections_malformed,
            ),
            total("portcullis_upstream_connections_total", "Connections made to upstreams.", |worker| &worker.upstream_connections),
            total("portcullis_upstream_retries_total", "Requests sent again on a fresh upstream connection.", |worker| {
                &worker.upstream_retries
            }),
            total(
                "portcullis_attributes_asked_total",
                "Questions about tags and attributes of resources that backends were asked.",
                |worker| &worker.attributes_asked,
            ),
            total("portcullis_attributes_failed_total", "Of these, those without a usable answer.", |worker| &worker.attributes_failed),
            total("portcullis_policy_cross_checks_total", "Evaluations of policies that were done twice.", |worker| &worker.cross_checks),
            total(
                "portcullis_policy_cross_check_mismatches_total",
                "Of these, those in which the index and every statement looked at said differently: a defect; the stricter one counted.",
                |worker| &worker.cross_check_mismatches,
            ),
            total(
                "portcullis_policy_sets_indexed_total",
                "Indexes made over all policies of those who hold many and ask often.",
                |worker| &worker.policy_sets_indexed,
            ),
            total(
                "portcullis_authentication_failures_total",
                "Authentications that failed: a credential was presented and was not true.",
                |worker| &worker.authentication_failures,
            ),
            total("portcullis_replay_claims_total", "Requests remembered so that they are not accepted again.", |worker| {
                &worker.replay_claims
            }),
            total("portcullis_replay_forgotten_total", "Of these, those whose signatures have expired.", |worker| &worker.replay_forgotten),
            total("portcullis_records_total", "Decision records written.", |worker| &worker.records),
            total("portcullis_records_dropped_total", "Decision records dropped because writing could not keep up.", |worker| {
                &worker.records_dropped
            }),
        ]
    }

    fn state_families(&self) -> Vec<MetricFamily> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = &*state else { return Vec::new() };
        let mut info = family("portcullis_revision_info", "The revision in force.", MetricType::GAUGE);
        // A store has a new revision with every change: that would be a new series each time.
        if self.feed.get().is_none() {
            info.mut_metric().push(gauge(&[("revision", &state.revision)], 1.0));
        }
        let mut loaded = family("portcullis_loaded_timestamp_seconds", "When the revision in force was loaded.", MetricType::GAUGE);
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a double")]
        loaded.mut_metric().push(gauge(&[], self.loaded_at_ms.load(Relaxed) as f64 / 1e3));
        let mut observe =
            family("portcullis_observe_mode", "1 where a service only observes: nothing is refused there.", MetricType::GAUGE);
        for (name, observed) in &state.observed {
            observe.mut_metric().push(gauge(&[("service", name)], f64::from(u8::from(*observed))));
        }
        let mut objects = family("portcullis_snapshot_objects", "Objects in the snapshot in force.", MetricType::GAUGE);
        for (kind, number) in [("user", state.users), ("access_key", state.keys), ("policy", state.policies)] {
            objects.mut_metric().push(gauge(&[("kind", kind)], whole(number as u64)));
        }
        let mut reloads = family("portcullis_reloads_total", "Reloads by result.", MetricType::COUNTER);
        for (result, counter) in [("loaded", &self.reloads), ("refused", &self.reloads_failed)] {
            reloads.mut_metric().push(count(&[("result", result)], counter.load(Relaxed)));
        }
        vec![info, loaded, observe, objects, reloads]
    }
}

/// How the copy of a control plane's store is doing.
fn feed_families(status: &FeedStatus) -> Vec<MetricFamily> {
    let one = |name: &str, help: &str, kind: MetricType, sample: Metric| {
        let mut found = family(name, help, kind);
        found.mut_metric().push(sample);
        found
    };
    let total = |name: &str, help: &str, counter: &Counter| one(name, help, MetricType::COUNTER, count(&[], counter.get()));
    let now = |name: &str, help: &str, value: f64| one(name, help, MetricType::GAUGE, gauge(&[], value));
    let (epoch, sequence) = match status.revision() {
        Some(Revision::Store { epoch, sequence }) => (whole(epoch), whole(sequence)),
        Some(Revision::File(_)) | None => (0.0, 0.0),
    };
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a double")]
    let contact = status.last_contact().map_or(0.0, |last| last.milliseconds() as f64 / 1e3);
    let mut latency = family(
        "portcullis_change_to_enforce_seconds",
        "From the request that changed something at the control plane to its being in force here, by both clocks.",
        MetricType::HISTOGRAM,
    );
    latency.mut_metric().push(histogram(&[], std::iter::once(&status.latency)));
    vec![
        now("portcullis_revision_epoch", "Epoch of the revision in force; 0 before there is one.", epoch),
        now("portcullis_revision_sequence", "Sequence of the revision in force.", sequence),
        now("portcullis_feed_head_sequence", "Sequence that the control plane has announced.", whole(status.head())),
        now("portcullis_feed_connected", "1 while a stream from the control plane is open.", f64::from(u8::from(status.is_connected()))),
        now("portcullis_feed_last_contact_timestamp_seconds", "When the control plane was last heard; alarm on its age.", contact),
        latency,
        total("portcullis_feed_commits_total", "Changes put in force.", &status.commits),
        total("portcullis_feed_snapshots_total", "Whole states taken from the feed.", &status.snapshots),
        total("portcullis_feed_reconnects_total", "Streams that ended, or could not be opened.", &status.reconnects),
        total("portcullis_feed_refused_steps_total", "Answers refused because they would have gone back.", &status.refused_steps),
        total("portcullis_feed_digest_mismatches_total", "States that were not what the control plane said.", &status.digest_mismatches),
        total("portcullis_feed_unreadable_records_total", "Records that could not be read and count as refusing.", &status.unreadable),
        total("portcullis_disk_copy_failures_total", "Disk copies refused, or given up.", &status.disk_copy_failures),
    ]
}

/// How the keys of identity providers are doing.
fn issuer_families(issuers: &[Arc<IssuerStatus>]) -> Vec<MetricFamily> {
    let mut fetches = family("portcullis_issuer_key_fetches_total", "Fetches of the keys of token issuers.", MetricType::COUNTER);
    let help = "When the keys of a token issuer last came; 0 for never. Alarm on its age.";
    let mut last = family("portcullis_issuer_keys_timestamp_seconds", help, MetricType::GAUGE);
    for status in issuers {
        for (result, counter) in [("fetched", &status.fetched), ("failed", &status.failed)] {
            fetches.mut_metric().push(count(&[("issuer", &status.issuer), ("result", result)], counter.get()));
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 are exact in a double")]
        last.mut_metric().push(gauge(&[("issuer", &status.issuer)], status.last_ms() as f64 / 1e3));
    }
    vec![fetches, last]
}

fn family(name: &str, help: &str, kind: MetricType) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family
}

fn labels(pairs: &[(&str, &str)]) -> Vec<LabelPair> {
    pairs
        .iter()
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "the text format knows only doubles")]
const fn whole(value: u64) -> f64 {
    value as f64
}

fn count(pairs: &[(&str, &str)], value: u64) -> Metric {
    let mut sample = CounterSample::default();
    sample.set_value(whole(value));
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_counter(sample);
    metric
}

fn gauge(pairs: &[(&str, &str)], value: f64) -> Metric {
    let mut sample = Gauge::default();
    sample.set_value(value);
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_gauge(sample);
    metric
}

fn histogram<'a>(pairs: &[(&str, &str)], parts: impl Iterator<Item = &'a Histogram>) -> Metric {
    let (mut counts, mut sum, mut bounds) = ([0u64; 15], 0.0, &[][..]);
    for part in parts {
        let (more, seconds) = part.read();
        for (count, more) in counts.iter_mut().zip(more) {
            *count += more;
        }
        sum += seconds;
        bounds = part.bounds();
    }
    let mut cumulative = 0;
    let buckets = bounds.iter().zip(counts).map(|(bound, count)| {
        cumulative += count;
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(*bound);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let mut sample = HistogramSample::default();
    sample.set_bucket(buckets.collect());
    sample.set_sample_sum(sum);
    sample.set_sample_count(counts.iter().sum());
    let mut metric = Metric::from_label(labels(pairs));
    metric.set_histogram(sample);
    metric
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Outcome;
    use std::time::Duration;

    #[test]
    fn the_page_sums_workers_and_keeps_counters_over_reloads() {
        let metrics = Metrics::default();
        let name: Arc<str> = "iam".into();
        for worker in 0..2 {
            metrics.service(worker, &name).decided(Outcome::Allowed, Duration::from_micros(3));
            metrics.service(worker, &name).decided(Outcome::Refused(Reason::ImplicitDeny), Duration::from_micros(3));
        }
        metrics.service(0, &name).decided(Outcome::Observed(Reason::NoCredential), Duration::from_micros(3));
        metrics.service(0, &name).answered(200, Duration::from_millis(3));
        metrics.loaded(Revision::Store { epoch: 1, sequence: 2 }, 5_000, vec![(Arc::clone(&name), true)], (1, 2, 3));
        let page = String::from_utf8(metrics.page()).unwrap();
        for line in [
            "portcullis_requests_total{service=\"iam\",outcome=\"allowed\"} 2",
            "portcullis_requests_total{service=\"iam\",outcome=\"implicit_deny\"} 2",
            "portcullis_requests_total{service=\"iam\",outcome=\"observed\"} 1",
            "portcullis_would_deny_total{service=\"iam\",reason=\"no_credential\"} 1",
            "portcullis_responses_total{service=\"iam\",class=\"2xx\"} 1",
            "portcullis_decision_duration_seconds_bucket{service=\"iam\",le=\"0.000004\"} 5",
            "portcullis_request_duration_seconds_count{service=\"iam\"} 1",
            "portcullis_revision_info{revision=\"1.2\"} 1",
            "portcullis_observe_mode{service=\"iam\"} 1",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    }
}
