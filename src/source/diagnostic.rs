//! Errors and warnings that name file, line, column and key, and their rendering.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use super::excerpt;
use super::tree::{Source, Span};

/// How many errors, and how many warnings, one report keeps; what comes after is counted.
pub const DIAGNOSTICS_MAX: usize = 200;

/// Whether a diagnostic stops what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is loaded.
    Error,
    /// Loaded, but worth a look.
    Warning,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The file it is about.
    pub file: Arc<str>,
    /// Where in the file, when it is about a place.
    pub span: Option<Span>,
    /// What is wrong, with the input in backticks.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    /// The line at `span`, unless it may hold a secret.
    pub excerpt: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(out, "{severity}: {}", self.message)?;
        match self.span {
            Some(span) => writeln!(out, "  --> {}:{}:{}", self.file, span.start.line, span.start.column)?,
            None => writeln!(out, "  --> {}", self.file)?,
        }
        if let (Some(span), Some(excerpt)) = (self.span, &self.excerpt) {
            let number = span.start.line.to_string();
            let gutter = " ".repeat(number.len());
            let (line, before) = excerpt::window(excerpt, (span.start.column as usize).saturating_sub(1));
            let room = line.chars().count().saturating_sub(before).max(1);
            let marks = "^".repeat((span.chars as usize).clamp(1, room));
            writeln!(out, "{gutter} |")?;
            writeln!(out, "{number} | {line}")?;
            writeln!(out, "{gutter} | {}{marks}", " ".repeat(before))?;
        }
        if let Some(hint) = &self.hint {
            writeln!(out, "   = help: {hint}")?;
        }
        Ok(())
    }
}

/// All findings of one run.
#[derive(Debug, Default)]
pub struct Report {
    errors: RefCell<Found>,
    warnings: RefCell<Found>,
    /// Nobody will read it.
    unread: bool,
}

/// Findings of one severity. Errors and warnings are bounded apart: many warnings must not hide an error.
#[derive(Debug, Default)]
struct Found {
    kept: Vec<Diagnostic>,
    more: usize,
}

impl Report {
    /// An empty report.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty report that nobody will read: what costs time and only helps people is left out.
    #[must_use]
    pub fn unread() -> Self {
        Self { unread: true, ..Self::default() }
    }

    /// Whether nobody will read it.
    #[must_use]
    pub const fn is_unread(&self) -> bool {
        self.unread
    }

    /// Adds an error at a place of a source.
    pub fn error(&self, source: &Source, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Error, source, span, message.into(), hint, true);
    }

    /// Adds a warning at a place of a source.
    pub fn warning(&self, source: &Source, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Warning, source, span, message.into(), hint, true);
    }

    /// Adds an error whose line may hold a secret: the line is not shown.
    pub fn sensitive_error(&self, source: &Source, span: Span, message: impl Into<String>, hint: Option<String>) {
        self.add(Severity::Error, source, span, message.into(), hint, false);
    }

    /// Adds an error about a file as a whole.
    pub fn file_error(&self, file: impl Into<Arc<str>>, message: impl Into<String>, hint: Option<String>) {
        let file = file.into();
        let message = message.into();
        self.keep(Severity::Error, || Diagnostic { severity: Severity::Error, file, span: None, message, hint, excerpt: None });
    }

    /// Adds the errors of another report, and not its warnings.
    pub fn take_errors(&self, other: &Self) {
        let other = other.errors.borrow();
        for error in &other.kept {
            self.keep(Severity::Error, || error.clone());
        }
        self.errors.borrow_mut().more += other.more;
    }

    /// Whether an error (not a mere warning) was found.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.count(Severity::Error) > 0
    }

    /// How many findings of this severity there are.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let found = self.found(severity).borrow();
        found.kept.len() + found.more
    }

    /// Whether no more errors are kept; a caller may then save the work of finding the best place for one.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.errors.borrow().kept.len() >= DIAGNOSTICS_MAX
    }

    /// The findings: by file name, by line within a file.
    #[must_use]
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let mut sorted: Vec<Diagnostic> = self.errors.borrow().kept.iter().chain(&self.warnings.borrow().kept).cloned().collect();
        sorted.sort_by(|one, other| {
            let place = |diagnostic: &Diagnostic| diagnostic.span.map(|span| span.start);
            (&one.file, place(one)).cmp(&(&other.file, place(other)))
        });
        sorted
    }

    fn found(&self, severity: Severity) -> &RefCell<Found> {
        match severity {
            Severity::Error => &self.errors,
            Severity::Warning => &self.warnings,
        }
    }

    fn add(&self, severity: Severity, source: &Source, span: Span, message: String, hint: Option<String>, show: bool) {
        self.keep(severity, || {
            let (source, span) = source.locate(span);
            let excerpt = if show { excerpt::of(source, span.start.line) } else { None };
            Diagnostic { severity, file: Arc::clone(source.name()), span: Some(span), message, hint, excerpt }
        });
    }

    /// Keeps a finding, once; it is made only if there is room for it, for finding its line takes time.
    fn keep(&self, severity: Severity, make: impl FnOnce() -> Diagnostic) {
        let mut found = self.found(severity).borrow_mut();
        if found.kept.len() >= DIAGNOSTICS_MAX {
            found.more += 1;
            return;
        }
        let made = make();
        if !found.kept.iter().any(|kept| kept.file == made.file && kept.span == made.span && kept.message == made.message) {
            found.kept.push(made);
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics().iter().enumerate() {
            if index > 0 {
                out.write_char('\n')?;
            }
            write!(out, "{diagnostic}")?;
        }
        for (found, what) in [(&self.errors, "errors"), (&self.warnings, "warnings")] {
            let more = found.borrow().more;
            if more > 0 {
                writeln!(out, "\n... and {more} more {what}")?;
            }
        }
        Ok(())
    }
}

/// The candidate nearest to `text`, when it is near enough to be a slip of the pen.
#[must_use]
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (text.chars().count() / 3).clamp(1, 4);
    let folded = text.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tree::Position;

    #[test]
    fn a_diagnostic_shows_the_line_and_marks_the_place() {
        let source = Source::new("gateway.yaml", "a: 1\nhots: [x]\n");
        let report = Report::new();
        let span = Span { start: Position { line: 2, column: 1 }, chars: 4 };
        report.error(&source, span, "unknown key `hots`", Some("did you mean `hosts`?".into()));
        assert_eq!(
            report.to_string(),
            "error: unknown key `hots`\n  --> gateway.yaml:2:1\n  |\n2 | hots: [x]\n  | ^^^^\n   = help: did you mean `hosts`?\n"
        );
    }

    #[test]
    fn nearest_finds_a_slip_and_nothing_far() {
        assert_eq!(nearest("hots", ["hosts", "mode"]), Some("hosts"));
        assert_eq!(nearest("zebra", ["hosts", "mode"]), None);
        assert_eq!(nearest("iam:showUser", ["iam:ShowUser", "iam:SetUser"]), Some("iam:ShowUser"));
    }

    #[test]
    fn a_report_keeps_a_bounded_number_and_counts_the_rest() {
        let report = Report::new();
        for number in 0..DIAGNOSTICS_MAX + 5 {
            report.file_error("f", format!("bad {number}"), None);
        }
        assert_eq!(report.count(Severity::Error), DIAGNOSTICS_MAX + 5);
        assert!(report.to_string().ends_with("... and 5 more errors\n"));
    }

    #[test]
    fn many_warnings_do_not_hide_an_error() {
        let (source, report) = (Source::new("f", "a"), Report::new());
        for number in 0..DIAGNOSTICS_MAX + 5 {
            report.warning(&source, Span::default(), format!("odd {number}"), None);
        }
        report.error(&source, Span::default(), "bad", None);
        assert!(report.to_string().contains("error: bad\n"));
        assert!(report.to_string().ends_with("... and 5 more warnings\n"));
    }

    #[test]
    fn nothing_is_said_twice() {
        let (source, report) = (Source::new("f", "a"), Report::new());
        for _ in 0..2 {
            report.error(&source, Span::default(), "bad", None);
        }
        assert_eq!(report.count(Severity::Error), 1);
    }
}
