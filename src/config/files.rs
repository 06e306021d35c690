//! Reading the files of a configuration, bounded, and hashing all of them into one fingerprint.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _};
use std::path::{Component, Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use crate::source::{Cursor, Node, Report, Source, Span, yaml};

/// Most bytes of one file.
const FILE_BYTES_MAX: u64 = yaml::BYTES_MAX as u64;
const WRONG_NAME_HINT: &str = "correct the name; a relative one starts from the folder of the file that it stands in";
const READ_HINT: &str = "name a text file that the user of the gateway may read";
const ACCESS_HINT: &str = "let the user that the gateway runs as read it";
/// Most files of one configuration.
const FILES_MAX: usize = 100_000;

/// A path and the place that names it, where a wrong name is put right.
#[derive(Debug, Clone)]
pub struct NamedPath {
    /// The path, as seen from the folder of the file that names it.
    pub path: PathBuf,
    /// The file that names it.
    pub source: Source,
    /// Where.
    pub span: Span,
}

impl NamedPath {
    pub(super) fn decode(file: &Path, cursor: &Cursor<'_>) -> Option<Self> {
        let path = beside(file, &cursor.string()?);
        Some(Self { path, source: cursor.source().clone(), span: cursor.node().span })
    }

    /// Reports an error where the path is named.
    pub fn error(&self, report: &Report, message: impl Into<String>, hint: impl Into<String>) {
        report.error(&self.source, self.span, message, Some(hint.into()));
    }
}

/// The files read so far: their fingerprint and their number.
pub struct Files {
    digest: RefCell<Context>,
    count: RefCell<usize>,
}

impl Default for Files {
    fn default() -> Self {
        Self { digest: RefCell::new(Context::new(&SHA256)), count: RefCell::new(0) }
    }
}

impl Files {
    /// Reads a text file; the path people see is the one given.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the file.
    pub fn read(&self, path: &Path) -> Result<String, String> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| format!("the file cannot be opened: {}", plain(&error)))?;
        file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| format!("the file cannot be read: {}", plain(&error)))?;
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(format!("the file has more than {FILE_BYTES_MAX} bytes"));
        }
        let mut count = self.count.borrow_mut();
        *count += 1;
        if *count > FILES_MAX {
            return Err(format!("more than {FILES_MAX} files are named"));
        }
        let mut digest = self.digest.borrow_mut();
        for part in [path.as_os_str().as_encoded_bytes(), text.as_bytes()] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
        Ok(text)
    }

    /// Reads the YAML documents of a file; errors go to the report.
    pub fn read_yaml(&self, path: &Path, report: &Report) -> Option<(Source, Vec<Node>)> {
        let name = path.display().to_string();
        let text = self.read(path).map_err(|message| report.file_error(name.as_str(), message, Some(READ_HINT.to_owned()))).ok()?;
        let source = Source::new(name, text);
        match yaml::parse(&source) {
            Ok(documents) => Some((source, documents)),
            Err(error) => {
                report.error(&source, error.span, error.message, error.hint);
                None
            }
        }
    }

    /// The files that a list of files and folders stands for: of a folder, its `.yaml` and `.yml` files by name.
    pub fn expand(paths: &[NamedPath], report: &Report) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for named in paths {
            let path = &named.path;
            if !path.is_dir() {
                if path.exists() {
                    found.push(path.clone());
                } else {
                    named.error(report, format!("there is no file or folder `{}`", path.display()), WRONG_NAME_HINT);
                }
                continue;
            }
            match fs::read_dir(path) {
                Ok(entries) => {
                    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
                    let mut inside = Vec::new();
                    for entry in entries {
                        match entry {
                            Ok(entry) => inside.push(entry.path()),
                            // A file that is not seen may be the one with the Deny.
                            Err(error) => report.error(
                                &named.source,
                                named.span,
                                format!("the folder `{}` cannot be read whole: {}", path.display(), plain(&error)),
                                None,
                            ),
                        }
                    }
                    inside.retain(is_yaml);
                    if inside.is_empty() {
                        let message = format!("the folder `{}` has no file that ends in .yaml or .yml", path.display());
                        report.warning(&named.source, named.span, message, Some("folders inside of it are not looked into".to_owned()));
                    }
                    inside.sort();
                    found.append(&mut inside);
                }
                Err(error) => {
                    named.error(report, format!("the folder `{}` cannot be read: {}", path.display(), plain(&error)), ACCESS_HINT)
                }
            }
        }
        found
    }

    /// The SHA-256 over paths and contents of all files read so far, in the order they were read.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.digest.borrow().clone().finish().as_ref());
        bytes
    }
}

/// An I/O error without the operating system's number.
fn plain(error: &std::io::Error) -> String {
    const KNOWN: [(ErrorKind, &str); 4] = [
        (ErrorKind::NotFound, "there is no such file"),
        (ErrorKind::PermissionDenied, "permission denied"),
        (ErrorKind::IsADirectory, "it is a folder"),
        (ErrorKind::InvalidData, "it is not UTF-8 text"),
    ];
    KNOWN.iter().find(|(kind, _)| *kind == error.kind()).map_or_else(|| error.to_string(), |(_, text)| (*text).to_owned())
}

/// `path` as seen from the folder of the file that names it, without detours where they make no difference.
#[must_use]
pub fn beside(file: &Path, path: &str) -> PathBuf {
    let path = Path::new(path);
    let whole = match file.parent() {
        Some(folder) if path.is_relative() && !folder.as_os_str().is_empty() => folder.join(path),
        Some(_) | None => path.to_owned(),
    };
    let mut short = PathBuf::new();
    for part in whole.components() {
        let detour = part == Component::ParentDir && matches!(short.components().next_back(), Some(Component::Normal(_)));
        // The parent of a symbolic link's target is elsewhere.
        if detour && fs::symlink_metadata(&short).is_ok_and(|found| found.is_dir()) {
            short.pop();
        } else {
            short.push(part);
        }
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_seen_from_the_folder_of_the_file_that_names_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let (root, records) = (folder.path(), folder.path().join("records"));
        fs::create_dir(&records).unwrap();
        std::os::unix::fs::symlink("/", root.join("link")).unwrap();
        for (file, path, expected) in [
            ("gateway.yaml", "iam.yaml", "iam.yaml"),
            ("gateway.yaml", "./a/b", "a/b"),
            ("records/a.yaml", "../secrets/b", "secrets/b"),
            ("records/a.yaml", "../records/../b", "b"),
            ("link/a.yaml", "../b", "link/../b"),
            ("nowhere/a.yaml", "../b", "nowhere/../b"),
        ] {
            assert_eq!(beside(&root.join(file), path), root.join(expected), "{path}");
        }
        assert_eq!(beside(&root.join("a"), "/b"), Path::new("/b"));
        assert_eq!(beside(Path::new("a"), "../b"), Path::new("../b"));
    }
}
