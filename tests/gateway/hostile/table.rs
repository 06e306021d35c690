//! The list of hostile inputs, and the table that says what becomes of each of them.

use std::path::Path;

/// Every input that gateways were broken with, as it was collected. Lines that begin with `# ` are titles.
const LIST: &str = include_str!("list.txt");
/// One line per probe: the input in the words of the list, what is sent, the verdict, and where that is tested. A line whose first
/// field is empty is another probe of the input above it. How the fields are written stands at its top.
const TABLE: &str = include_str!("inputs.tsv");

/// Where a row is tested.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Tested {
    /// By the runner of this table.
    Here,
    /// By a test that says `sent` in its file.
    Elsewhere { file: String, name: &'static str },
    /// It needs HTTP/2, TLS or the upstream's side.
    DataPlane,
    /// By nobody, and why.
    NotHere(&'static str),
}

/// A probe.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Its line in the table.
    pub(super) line: usize,
    /// The input, in the words of the list.
    pub(super) input: &'static str,
    /// Whether this is the input's first probe.
    pub(super) is_first: bool,
    pub(super) sent: &'static str,
    pub(super) expected: &'static str,
    pub(super) tested: Tested,
}

/// All rows, in order.
pub(super) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (index, text) in TABLE.lines().enumerate() {
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let line = index + 1;
        let fields: Vec<&str> = text.split('\t').collect();
        let [input, sent, expected, tested] = fields[..] else { panic!("inputs.tsv:{line}: {} fields, not four", fields.len()) };
        let above = rows.last().map(|row| row.input);
        let is_first = !input.is_empty();
        let input = if is_first { input } else { above.unwrap_or_else(|| panic!("inputs.tsv:{line}: no input")) };
        rows.push(Row { line, input, is_first, sent, expected, tested: tested_at(tested, line) });
    }
    rows
}

fn tested_at(text: &'static str, line: usize) -> Tested {
    match (text, text.split_once(": "), text.rsplit_once("::")) {
        ("here", ..) => Tested::Here,
        ("data plane", ..) => Tested::DataPlane,
        (_, Some(("not here", why)), _) => Tested::NotHere(why),
        (_, None, Some((place, name))) => {
            let file = if place.contains('/') { place.to_owned() } else { format!("tests/gateway/{place}.rs") };
            Tested::Elsewhere { file, name }
        }
        _ => panic!("inputs.tsv:{line}: `{text}` is no place"),
    }
}

/// What is wrong with a pointer to a test elsewhere.
pub(crate) fn wrong_pointer(file: &str, name: &str, sent: &str) -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let Ok(text) = std::fs::read_to_string(path) else { return Some(format!("there is no file {file}")) };
    let call = format!("fn {name}(");
    let mut before: Vec<&str> = text.split(&call).collect();
    before.pop();
    let is_test = before.iter().any(|before| {
        let attribute = before.trim_end().trim_end_matches("async").lines().rev().map(str::trim).find(|line| !line.is_empty());
        attribute.is_some_and(|line| line.starts_with("#[") && line.ends_with("test]"))
    });
    match (is_test, text.contains(sent)) {
        (false, _) => Some(format!("{file} has no test {name}")),
        (true, false) => Some(format!("{file} does not say `{sent}`")),
        (true, true) => None,
    }
}

/// Takes the inputs of the table away from the list, in order, and returns the first place where they part.
pub(super) fn gap<'a>(inputs: impl Iterator<Item = &'a str>) -> Option<String> {
    let lines = LIST.lines().filter(|line| !line.starts_with("# "));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    let list = words.join(" ");
    let is_between = |character: char| character.is_whitespace() || ",;|/".contains(character);
    let mut rest = &*list;
    for input in inputs {
        // An input may begin with what else stands between two.
        let between = rest.find(|character| !is_between(character)).unwrap_or(rest.len());
        let Some(after) = (0..=between).find_map(|at| rest.get(at..)?.strip_prefix(input)) else {
            return Some(format!("the table says `{input}` where the list goes on with `{}`", beginning(rest)));
        };
        rest = after;
    }
    let is_over = rest.chars().all(is_between);
    (!is_over).then(|| format!("the table ends before `{}`", beginning(rest)))
}

fn beginning(text: &str) -> String {
    text.trim().chars().take(80).collect()
}
