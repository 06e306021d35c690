//! `services.NAME.sigv4`: whether and how a service takes AWS signatures.

use crate::source::Cursor;

/// Most regions.
const REGIONS_MAX: usize = 100;

/// How a service takes AWS signatures.
#[derive(Debug, Clone)]
pub struct Sigv4 {
    /// The service in the credential scope.
    pub service: String,
    /// The regions in the credential scope; `None` takes every region.
    pub regions: Option<Vec<String>>,
    /// Whether paths and bodies are signed as for Amazon S3.
    pub s3: bool,
    /// Whether a request may leave its body unsigned.
    pub unsigned_payload: bool,
}

impl Sigv4 {
    pub(super) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let service = table.required("service", "write the name that clients sign for: `service: iam`", |value| scope_part(&value));
        let regions = table.optional("regions", |value| {
            let regions = value.list(|region| scope_part(&region))?;
            if regions.is_empty() || regions.len() > REGIONS_MAX {
                let message = format!("{} regions; there must be 1 to {REGIONS_MAX}", regions.len());
                value.error_hint(message, "leave `regions` out to take every region");
                return None;
            }
            Some(regions)
        });
        let s3 = table.or("profile", false, |value| value.one_of(&[("generic", false), ("s3", true)]));
        let unsigned_payload = table.or("unsigned_payload", true, |value| value.boolean());
        table.finish()?;
        Some(Self { service: service?, regions: regions?, s3: s3?, unsigned_payload: unsigned_payload? })
    }
}

/// A region or service as it can stand in a credential scope.
pub(super) fn scope_part(cursor: &Cursor<'_>) -> Option<String> {
    let text = cursor.string()?;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
        cursor.error_hint(format!("`{text}` cannot stand in a credential scope"), "use letters, digits, `-`, `.` and `_`, at most 64");
        return None;
    }
    Some(text)
}
