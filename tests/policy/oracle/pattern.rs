//! SRNs, the patterns over them, and globs.

use portcullis::source::Node;

use super::{listed, text, text_of};

/// R11: the fields of an SRN.
pub(super) struct Srn<'a> {
    pub(super) offering: &'a str,
    pub(super) account: &'a str,
    pub(super) region: &'a str,
    pub(super) service_type: &'a str,
    pub(super) kind: &'a str,
    pub(super) id: &'a str,
}

/// R11: 8 fields cut at the first seven colons, the last one at its first `/`; account and region may be empty.
pub(super) fn read(text: &str) -> Option<Srn<'_>> {
    let fields: Vec<&str> = text.splitn(8, ':').collect();
    let [scheme, offering, reserved, account, region, also_reserved, service_type, last] = fields[..] else { return None };
    let (kind, id) = last.split_once('/')?;
    let is_well_formed = scheme == "srn"
        && !offering.is_empty()
        && reserved.is_empty()
        && also_reserved.is_empty()
        && !service_type.is_empty()
        && !kind.is_empty()
        && !id.is_empty();
    is_well_formed.then_some(Srn { offering, account, region, service_type, kind, id })
}

/// R12, R13, R14, R15: whether a pattern in a policy of `owner` denotes a resource, field by field.
pub(super) fn matches(catalog: &Node, owner: &str, pattern: &str, srn: &Srn<'_>) -> bool {
    let pattern = read(pattern).unwrap();
    let account = if pattern.account.is_empty() { owner } else { pattern.account };
    pattern.offering == srn.offering
        && account == srn.account
        && (pattern.region.is_empty() || matches_glob(pattern.region, srn.region))
        && fold_service_type(catalog, pattern.service_type) == fold_service_type(catalog, srn.service_type)
        && matches_glob(pattern.kind, srn.kind)
        && matches_glob(pattern.id, srn.id)
}

/// R15: one name for all spellings of a service-type. `x` and `scp-x` are the same, whether a catalogue knows them or not.
pub(super) fn fold_service_type(catalog: &Node, service_type: &str) -> String {
    let short = |name: &str| name.strip_prefix("scp-").unwrap_or(name).to_owned();
    for service in listed(catalog, "services") {
        let own = text_of(service, "service_type");
        let mut spellings = listed(service, "aliases").iter().map(text).chain([own]);
        if spellings.any(|spelling| short(spelling) == short(service_type)) {
            return short(own);
        }
    }
    short(service_type)
}

/// R28: whether `srn` is the place itself or lies below it.
pub(super) fn is_or_contains(catalog: &Node, place: &Srn<'_>, srn: &Srn<'_>) -> bool {
    place.offering == srn.offering
        && place.account == srn.account
        && place.region == srn.region
        && fold_service_type(catalog, place.service_type) == fold_service_type(catalog, srn.service_type)
        && place.kind == srn.kind
        && (srn.id == place.id || srn.id.starts_with(&format!("{}/", place.id)))
}

/// R13: `*` is any run of characters, `?` exactly one.
pub(super) fn matches_glob(pattern: &str, text: &str) -> bool {
    glob(pattern, text, true)
}

/// R09, R36: `*` is any run of characters; `?` is itself.
pub(super) fn matches_stars(pattern: &str, text: &str) -> bool {
    glob(pattern, text, false)
}

fn glob(pattern: &str, text: &str, question_is_one: bool) -> bool {
    let (mut pattern_rest, mut text_rest) = (pattern.chars(), text.chars());
    match (pattern_rest.next(), text_rest.next()) {
        (None, first) => first.is_none(),
        (Some('*'), first) => {
            glob(pattern_rest.as_str(), text, question_is_one) || (first.is_some() && glob(pattern, text_rest.as_str(), question_is_one))
        }
        (Some(_), None) => false,
        (Some(wanted), Some(first)) => {
            (wanted == first || (wanted == '?' && question_is_one)) && glob(pattern_rest.as_str(), text_rest.as_str(), question_is_one)
        }
    }
}
