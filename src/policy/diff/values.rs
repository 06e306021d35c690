//! Values for every way in which the tests of a condition key can come out.
//!
//! What is made here may be more than is needed, and each value is judged by the tests themselves; that every way has its value is what
//! counts. Simple values come first.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::words::{Language, words};
use crate::policy::condition::{Decimal, SrnPattern, Test, Texts, folded, instant_text};
use crate::policy::glob::{Glob, Symbol};
use crate::policy::inclusion::Work;
use crate::policy::request::Scalar;
use crate::types::{NetworkSet, Srn};

/// What is asked of one value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Probe<'p> {
    /// A test of a policy.
    Test(&'p Test),
    /// Whether it is this text when letter case does not count.
    Named(&'p str),
}

/// Values for every way in which the probes of a key, all of one type, can come out for a principal of this account; `None` when the
/// work was not enough. `empty_too` says whether a text may be empty; the texts of `plain` come first.
pub(super) fn candidates(probes: &[Probe<'_>], account: &str, (empty_too, plain): (bool, &[&str]), work: &Work) -> Option<Vec<String>> {
    let tests = || {
        probes.iter().filter_map(|probe| match probe {
            Probe::Test(test) => Some(*test),
            Probe::Named(_) => None,
        })
    };
    let mut all: Vec<String> = Vec::new();
    let mut languages: Vec<Language> = probes.iter().filter_map(|probe| named(*probe)).collect();
    let mut numbers: Vec<&Decimal<Box<str>>> = Vec::new();
    let mut dates: Vec<i128> = Vec::new();
    let mut srns: Vec<&SrnPattern> = Vec::new();
    let mut is_text = !languages.is_empty();
    for test in tests() {
        match test {
            Test::Text { wanted, .. } => {
                is_text = true;
                languages.extend(texts(wanted));
            }
            Test::Number { wanted, .. } => numbers.extend(wanted),
            Test::Date { wanted, .. } => dates.extend(wanted),
            Test::Address { wanted, .. } => all.extend(addresses(wanted)),
            Test::Bool { .. } => all.extend(["true", "false"].map(str::to_owned)),
            Test::Srn { wanted, .. } => srns.extend(wanted),
            Test::Null { .. } => {}
        }
    }
    if !numbers.is_empty() {
        all.extend(around_numbers(numbers));
    }
    if !dates.is_empty() {
        all.extend(around_dates(dates));
    }
    if !srns.is_empty() {
        all.extend(srn_texts(&srns, account, work)?);
    }
    if is_text {
        dedup(&mut languages, work)?;
        all.extend(plain.iter().map(|text| (*text).to_owned()));
        all.extend(words(&languages, empty_too, work)?);
    }
    Some(all)
}

fn named(probe: Probe<'_>) -> Option<Language> {
    match probe {
        Probe::Test(_) => None,
        Probe::Named(folded) => Some(Language::Folded(folded.chars().collect())),
    }
}

fn texts(wanted: &Texts) -> Vec<Language> {
    match wanted {
        Texts::Exact(list) => list.iter().map(|text| Language::Form(text.chars().map(Symbol::Char).collect())).collect(),
        Texts::IgnoreCase(list) => list.iter().map(|text| Language::Folded(text.chars().collect())).collect(),
        Texts::Like(globs) => globs.iter().map(|glob| Language::Form(glob.symbols())).collect(),
    }
}

/// Leaves out what stands there twice.
fn dedup(languages: &mut Vec<Language>, work: &Work) -> Option<()> {
    let mut kept: HashSet<Vec<u32>> = HashSet::new();
    let key = |language: &Language| match language {
        Language::Form(symbols) => symbols.iter().map(|symbol| number(*symbol)).collect::<Vec<u32>>(),
        Language::Folded(letters) => [u32::MAX].into_iter().chain(letters.iter().map(|letter| u32::from(*letter))).collect(),
    };
    languages.retain(|language| kept.insert(key(language)));
    work.spend(languages.len()).then_some(())
}

fn number(symbol: Symbol) -> u32 {
    match symbol {
        Symbol::Char(letter) => u32::from(letter),
        Symbol::One => u32::MAX - 1,
        Symbol::Run => u32::MAX - 2,
    }
}

/// Each number, and one below, above and between any two.
fn around_numbers(mut borders: Vec<&Decimal<Box<str>>>) -> Vec<String> {
    borders.sort_unstable();
    borders.dedup();
    let digits = borders.iter().map(|border| border.parts().2.len()).max().unwrap_or_default();
    let mut all = vec!["0".to_owned(), "1".to_owned(), "-1".to_owned()];
    for border in &borders {
        let (negative, whole, fraction) = border.parts();
        let sign = if negative { "-" } else { "" };
        let zero = if whole.is_empty() { "0" } else { whole };
        all.push(if fraction.is_empty() { format!("{sign}{zero}") } else { format!("{sign}{zero}.{fraction}") });
        // Farther from zero than any other, and by less than any two differ.
        let (farther, near) = (format!("1{whole}"), format!("{zero}.{fraction:0<digits$}1"));
        all.extend([format!("{sign}{farther}"), format!("{sign}{near}")]);
        if whole.is_empty() && fraction.is_empty() {
            all.push(format!("-{near}"));
        }
    }
    all
}

/// Each instant, and one below, above and between any two.
fn around_dates(mut borders: Vec<i128>) -> Vec<String> {
    const STEPS: [i128; 4] = [86_400_000_000_000_000_000_000, 1_000_000_000_000_000_000, 1_000_000_000_000_000, 1];
    borders.sort_unstable();
    borders.dedup();
    let exact = borders.iter().copied();
    let near = STEPS.iter().flat_map(|step| borders.iter().flat_map(move |border| [border - step, border + step]));
    exact.chain(near).filter_map(instant_text).collect()
}

/// Every address at which membership changes, and the first of each family.
fn addresses(networks: &NetworkSet) -> Vec<String> {
    // The first address behind those that are addresses of the other family: borders among these are theirs.
    let behind_mapped = Ipv6Addr::from(0x1_0000_0000_0000_u128);
    let first = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED), IpAddr::V6(behind_mapped)];
    networks.borders().chain(first).map(|address| address.to_string()).collect()
}

/// What a field of an SRN may be, and whether a pattern allows that.
type Field<'f> = (&'f [String], &'f dyn Fn(&SrnPattern, &str) -> bool);

/// An SRN for every set of patterns that match the same one.
fn srn_texts(patterns: &[&SrnPattern], account: &str, work: &Work) -> Option<Vec<String>> {
    let globs = |field: fn(&SrnPattern) -> &Glob, empty_too: bool| {
        let mut all: Vec<&Glob> = patterns.iter().map(|pattern| field(pattern)).collect();
        all.sort_unstable();
        all.dedup();
        let languages: Vec<Language> = all.iter().map(|glob| Language::Form(glob.symbols())).collect();
        words(&languages, empty_too, work)
    };
    let listed = |texts: Vec<&str>, other: &str| {
        let mut all: Vec<String> = texts.into_iter().chain([other]).map(str::to_owned).collect();
        all.sort_unstable();
        all.dedup();
        all
    };
    let offerings = listed(patterns.iter().map(|pattern| &*pattern.offering).collect(), "x");
    let accounts =
        listed(patterns.iter().map(|pattern| pattern.account.as_deref().unwrap_or(account)).chain([account]).collect(), "another");
    let services = listed(patterns.iter().flat_map(|pattern| pattern.services.spellings()).collect(), "another");
    let regions = globs(|pattern| &pattern.region, true)?;
    let types = globs(|pattern| &pattern.resource_type, false)?;
    let ids = globs(|pattern| &pattern.id, false)?;
    // Which patterns are still possible, field by field; of those with the same patterns one is enough.
    let mut all: Vec<(Vec<String>, Vec<bool>)> = vec![(Vec::new(), vec![true; patterns.len()])];
    let fields: [Field<'_>; 6] = [
        (&offerings, &|pattern, text| *pattern.offering == *text),
        (&accounts, &|pattern, text| pattern.account.as_deref().unwrap_or(account) == text),
        (&regions, &|pattern, text| pattern.region.matches(text)),
        (&services, &|pattern, text| pattern.services.spellings().any(|spelling| spelling == text)),
        (&types, &|pattern, text| pattern.resource_type.matches(text)),
        (&ids, &|pattern, text| pattern.id.matches(text)),
    ];
    for (texts, matches) in fields {
        let mut seen: HashSet<Vec<bool>> = HashSet::new();
        let mut next = Vec::new();
        let fitting: Vec<Vec<bool>> = texts.iter().map(|text| patterns.iter().map(|pattern| matches(pattern, text)).collect()).collect();
        for (written, possible) in &all {
            for (text, fits) in texts.iter().zip(&fitting) {
                if !work.spend(patterns.len()) {
                    return None;
                }
                let left: Vec<bool> = possible.iter().zip(fits).map(|(possible, fits)| *possible && *fits).collect();
                if seen.insert(left.clone()) {
                    next.push((written.iter().chain([text]).cloned().collect(), left));
                }
            }
        }
        all = next;
    }
    let text = |(fields, _): &(Vec<String>, Vec<bool>)| {
        let [offering, account, region, service_type, resource_type, resource_id] = fields.as_slice() else { return None };
        Some(Srn { offering, account, region, service_type, resource_type, resource_id }.to_string())
    };
    Some(all.iter().filter_map(text).collect())
}

impl Probe<'_> {
    /// Whether a value passes; `None` when it cannot be compared. Presence alone passes no test of a value.
    pub(super) fn passes(self, text: &str, account: &str) -> Option<bool> {
        match self {
            // Lists may be long: they are sorted.
            Probe::Test(Test::Text { negative, wanted: Texts::Exact(list) }) => {
                Some(list.binary_search_by(|wanted| (**wanted).cmp(text)).is_ok() != *negative)
            }
            Probe::Test(Test::Text { negative, wanted: Texts::IgnoreCase(list) }) => {
                let text: String = folded(text).collect();
                Some(list.binary_search_by(|wanted| (**wanted).cmp(&*text)).is_ok() != *negative)
            }
            Probe::Test(test) => test.hits(Scalar::Text(text), account).map(|hit| hit != test.is_negative()),
            Probe::Named(wanted) => Some(folded(text).eq(wanted.chars())),
        }
    }

    /// How much that costs for a text of so many bytes.
    pub(super) fn cost(self, bytes: usize) -> usize {
        let compared = bytes / 8 + 2;
        match self {
            Probe::Named(_) | Probe::Test(Test::Bool { .. } | Test::Null { .. } | Test::Address { .. }) => compared,
            Probe::Test(Test::Text { wanted: Texts::Exact(_) | Texts::IgnoreCase(_), .. }) => bytes + 16,
            Probe::Test(Test::Text { wanted: Texts::Like(globs), .. }) => globs.len() * (bytes + 8),
            Probe::Test(Test::Number { wanted, .. }) => wanted.len() * compared,
            Probe::Test(Test::Date { wanted, .. }) => wanted.len() * compared,
            Probe::Test(Test::Srn { wanted, .. }) => wanted.len() * (bytes + 8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(texts: &[&str]) -> Vec<Decimal<Box<str>>> {
        texts.iter().map(|text| Decimal::parse(text).unwrap().into_owned()).collect()
    }

    #[test]
    fn there_is_a_number_in_each_gap() {
        for borders in [
            &["4"][..],
            &["0"],
            &["-4"],
            &["0.5", "0.51"],
            &["-0.51", "-0.5", "0", "0.001", "7", "7.01", "70"],
            &["9007199254740992", "9007199254740993"],
            &["-1", "1"],
        ] {
            let borders = sorted(borders);
            let found = around_numbers(borders.iter().collect());
            let found: Vec<Decimal<&str>> = found.iter().map(|text| Decimal::parse(text).unwrap()).collect();
            let has = |fits: &dyn Fn(&Decimal<&str>) -> bool| assert!(found.iter().any(fits), "{borders:?} {found:?}");
            let (first, last) = (borders[0].borrow(), borders[borders.len() - 1].borrow());
            has(&|number| *number < first);
            has(&|number| *number > last);
            for border in &borders {
                has(&|number| *number == border.borrow());
            }
            for gap in borders.windows(2) {
                has(&|number| gap[0].borrow() < *number && *number < gap[1].borrow());
            }
        }
    }

    #[test]
    fn there_is_an_instant_in_each_gap_and_none_where_there_is_no_gap() {
        let borders: Vec<i128> = vec![0, 1, 1_000_000_000_000_000_000, 86_400_000_000_000_000_000_000];
        let found: Vec<i128> = around_dates(borders.clone()).iter().map(|text| crate::policy::condition::instant(text).unwrap()).collect();
        for gap in borders.windows(2) {
            let between = found.iter().any(|instant| gap[0] < *instant && *instant < gap[1]);
            assert_eq!(between, gap[1] - gap[0] > 1);
        }
        assert!(found.iter().any(|instant| *instant < 0) && found.iter().any(|instant| *instant > borders[3]));
    }

    #[test]
    fn there_is_an_address_for_each_membership() {
        let set = |networks: &[&str]| networks.iter().map(|text| text.parse::<crate::types::Network>().unwrap()).collect::<NetworkSet>();
        for networks in [&["10.0.0.0/8", "::/0"][..], &["0.0.0.0/0"], &["255.255.255.255"], &["::fffe:0:0/95"], &[]] {
            let set = set(networks);
            let found: Vec<IpAddr> = addresses(&set).iter().map(|text| text.parse().unwrap()).collect();
            let members = |four: bool| {
                found.iter().filter(|one| one.to_canonical().is_ipv4() == four).map(|one| set.contains(*one)).collect::<Vec<_>>()
            };
            let has = |four: bool, wanted: bool| members(four).contains(&wanted);
            assert_eq!(
                has(true, true),
                ["10.0.0.0", "255.255.255.255"].iter().any(|one| set.contains(one.parse().unwrap())),
                "{networks:?}"
            );
            assert_eq!(has(true, false), !networks.contains(&"0.0.0.0/0"), "{networks:?}");
            assert_eq!(has(false, true), networks.contains(&"::/0") || networks.contains(&"::fffe:0:0/95"), "{networks:?}");
            assert_eq!(has(false, false), !networks.contains(&"::/0"), "{networks:?}");
        }
    }
}
