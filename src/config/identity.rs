//! `identity`: where accounts, policies and definitions come from: files, or the feed of a control plane.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::files::{NamedPath, beside};
use super::service::authority;
use crate::source::{Cursor, SecretRef, Source, Span, Table};

/// Where accounts, policies and definitions come from.
#[derive(Debug, Clone)]
pub enum Identity {
    /// File mode.
    Files(FileIdentity),
    /// A control plane.
    Feed(FeedIdentity),
}

/// File mode: the files that accounts, policies and definitions come from.
#[derive(Debug, Clone)]
pub struct FileIdentity {
    /// Files and folders of records.
    pub records: Vec<NamedPath>,
    /// Files and folders of action and resource definitions.
    pub definitions: Vec<NamedPath>,
    /// The key that opens sealed secrets.
    pub sealing_key: Option<NamedPath>,
}

/// A control plane's feed.
#[derive(Debug, Clone)]
pub struct FeedIdentity {
    /// Host and port of the feed's listener.
    pub authority: String,
    /// What this gateway calls itself there.
    pub name: String,
    /// The feed's credential.
    pub credential: SecretRef,
    /// Where the credential stands.
    pub credential_span: Span,
    /// The file it stands in.
    pub source: Source,
    /// The key that opens sealed secrets, and that the disk copy is encrypted under.
    pub sealing_key: NamedPath,
    /// The folder of the disk copy.
    pub copy: PathBuf,
    /// Without a word from the control plane for this long, the gateway is not ready.
    pub stale_after: Duration,
    /// Without a word for this long, everything is refused; `None` for never.
    pub deny_after: Option<Duration>,
}

const HINT: &str = "write `records: [iam.yaml]` and `definitions: [definitions]`, or `feed:` with the control plane's `url`";
const FEED_KEY_HINT: &str = "write `credential: {file: feed.key}`: the file that the control plane has as its `feed.credential`";

impl Identity {
    pub(super) fn decode(file: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let table = cursor.table()?;
        let sealing_key = table.optional("sealing_key", |value| {
            let key = value.advised("write `sealing_key: {file: sealing.key}`").table()?;
            let path = key.required("file", "write `{file: sealing.key}`", |path| NamedPath::decode(file, &path));
            key.finish()?;
            path
        });
        let Some(feed) = table.take("feed") else { return FileIdentity::decode(file, table, sealing_key).map(Self::Files) };
        for key in ["records", "definitions"] {
            if let Some(value) = table.take(key) {
                value
                    .error_hint("a gateway that follows a feed reads no records and definitions of its own", "remove it, or remove `feed`");
            }
        }
        table.finish()?;
        let Some(sealing_key) = sealing_key? else {
            let hint = "write `sealing_key: {file: sealing.key}`, the control plane's: it opens the secrets of access keys";
            cursor.error_hint("a gateway that follows a feed needs the `sealing_key`", hint);
            return None;
        };
        FeedIdentity::decode(file, &feed, sealing_key).map(Self::Feed)
    }
}

impl FileIdentity {
    fn decode(file: &Path, table: Table<'_>, sealing_key: Option<Option<NamedPath>>) -> Option<Self> {
        let paths = |value: Cursor<'_>| value.list(|path| NamedPath::decode(file, &path));
        let records = table.required("records", HINT, paths);
        let definitions = table.required("definitions", HINT, paths);
        table.finish()?;
        Some(Self { records: records?, definitions: definitions?, sealing_key: sealing_key? })
    }
}

impl FeedIdentity {
    fn decode(file: &Path, cursor: &Cursor<'_>, sealing_key: NamedPath) -> Option<Self> {
        let table = cursor.table()?;
        let url =
            table.required("url", "write `url: http://127.0.0.1:8082`, the control plane's `feed.address`", |value| authority(&value));
        let name = table.or("name", "gateway".to_owned(), |value| {
            let name = value.string()?;
            let good = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
            if !good {
                value.error_hint(format!("`{name}` is not a gateway's name"), "use letters, digits, `-`, `_` and `.`, at most 64");
            }
            good.then_some(name)
        });
        let credential =
            table.required("credential", FEED_KEY_HINT, |value| SecretRef::decode(&value).map(|secret| (secret, value.node().span)));
        let hint = "write `copy: gateway-copy`: a folder that only this gateway uses";
        let copy = table.required("copy", hint, |value| value.string().map(|path| beside(file, &path)));
        let stale_after = table.or("stale_after_s", 300, |value| value.integer(5..=604_800, "seconds"));
        let deny_after = table.optional("deny_after_s", |value| value.integer(5..=2_592_000, "seconds"));
        table.finish()?;
        let (credential, credential_span) = credential?;
        Some(Self {
            authority: url?,
            name: name?,
            credential,
            credential_span,
            source: cursor.source().clone(),
            sealing_key,
            copy: copy?,
            stale_after: Duration::from_secs(stale_after?),
            deny_after: deny_after?.map(Duration::from_secs),
        })
    }
}
