//! The tree keeps its shape: which component may import which, what the pure ones never touch, how a file looks.
//!
//! Every rule is a function over a path and a text, so that `planted` can plant a violation and see it caught.
//! Comments and literals are cut away by a small lexer first: what is only said is never a violation.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;

/// The layers: a component (the first name below `src/`) and what it may import.
const LAYERS: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("source", &[]),
    ("policy", &["types", "source"]),
    ("authn", &["types"]),
    ("snapshot", &["types", "source", "policy", "authn"]),
    ("access", &["types", "source", "policy", "authn", "snapshot"]),
    ("config", &["types", "source"]),
    ("telemetry", &["types", "config"]),
    ("gateway", &["types", "authn", "snapshot", "access", "config", "telemetry"]),
    ("sync", &["types", "source", "snapshot", "config", "telemetry"]),
    ("control", &["types", "source", "policy", "authn", "snapshot", "config", "telemetry"]),
    ("cli", &["types", "source", "policy", "authn", "snapshot", "access", "config", "telemetry", "gateway", "sync", "control"]),
];

/// Directly below `src/` without being a component.
const ROOT_FILES: &[&str] = &["main.rs", "lib.rs", "ARCHITECTURE.md"];

/// No I/O, clock, randomness, task, thread or log in here, except in `#[cfg(test)]` modules.
const PURE: &[&str] = &["types", "source", "policy", "authn", "snapshot", "access"];

/// What the pure components may not name. A last `*` stands for any rest of a name.
const IMPURE_PATHS: &[&[&str]] = &[
    &["std::fs", "std::io", "std::os", "std::env", "std::process", "std::thread"],
    &["std::time::SystemTime", "std::time::Instant", "std::net::Tcp*", "std::net::Udp*", "std::net::ToSocketAddrs"],
    &["tokio", "hyper", "hyper_util", "reqwest", "socket2", "tracing", "tracing_subscriber", "rand", "getrandom", "aws_lc_rs::rand"],
];

/// What the pure components may not call on anything: a clock or a random number behind a harmless type.
const IMPURE_CALLS: &[(&str, &str)] = &[("*", "now"), ("Uuid", "new_*"), ("Uuid", "now_*")];

const IMPURE_MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// The only places that may speak in status codes.
const STATUS_CODE_PLACES: &[&str] = &["src/gateway/", "src/control/api/", "src/cli/"];

const VAGUE_NAMES: &[&str] = &["util", "utils", "common", "helpers", "manager", "misc"];

const CODE_LINES_MAX: usize = 500;

const KEYWORDS: &[&str] = &[
    "as", "async", "await", "break", "const", "continue", "dyn", "else", "enum", "extern", "fn", "for", "if", "impl", "in", "let", "loop",
    "match", "mod", "move", "mut", "pub", "ref", "return", "static", "struct", "trait", "type", "unsafe", "use", "where", "while", "yield",
];

// ---- the rules, on the real tree

#[test]
fn the_layer_table_has_no_cycle() {
    assert_eq!(find_cycle(LAYERS), None);
}

#[test]
fn every_file_belongs_to_a_listed_component() -> io::Result<()> {
    check(misplaced)
}

#[test]
fn components_import_only_what_the_layer_table_allows() -> io::Result<()> {
    check(wrong_imports)
}

#[test]
fn pure_components_have_no_effects() -> io::Result<()> {
    let tree = read_tree()?;
    let test_files: BTreeSet<_> = tree.iter().flat_map(|(path, text)| test_only_files(path, text)).collect();
    check(|path, text| if test_files.contains(path) { Vec::new() } else { effects(path, text) })
}

#[test]
fn every_file_starts_by_saying_what_it_is_for() -> io::Result<()> {
    check(missing_purpose)
}

#[test]
fn no_file_is_too_long() -> io::Result<()> {
    check(too_long)
}

#[test]
fn status_codes_stay_at_the_edge() -> io::Result<()> {
    check(stray_status_codes)
}

#[test]
fn names_say_something() -> io::Result<()> {
    check(vague_names)
}

/// Runs one rule over all of `src/` and fails with everything it found.
fn check(rule: impl Fn(&str, &str) -> Vec<Violation>) -> io::Result<()> {
    let tree = read_tree()?;
    assert!(tree.iter().any(|(path, _)| path == "src/lib.rs"), "`src` was not found");
    let found: Vec<String> = tree.iter().flat_map(|(path, text)| rule(path, text)).map(|v| v.to_string()).collect();
    assert!(found.is_empty(), "{} violation(s)\n{}\n", found.len(), found.join("\n"));
    Ok(())
}

/// All files below `src/` with their texts, in order. What is not Rust has an empty text.
fn read_tree() -> io::Result<Vec<(String, String)>> {
    let mut folders = vec!["src".to_owned()];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(&folder))? {
            let entry = entry?;
            let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                let text = if path.ends_with(".rs") { std::fs::read_to_string(entry.path())? } else { String::new() };
                files.push((path, text));
            }
        }
    }
    files.sort();
    Ok(files)
}

// ---- the rules

#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

fn violation(path: &str, line: usize, what: impl Into<String>) -> Violation {
    Violation { path: path.to_owned(), line, what: what.into() }
}

/// What a component may import; `None` if it is not in the table.
fn may_import(component: &str) -> Option<&'static [&'static str]> {
    LAYERS.iter().find(|(name, _)| *name == component).map(|(_, allowed)| *allowed)
}

/// The component of a file; `None` for the files directly below `src/` that are none.
fn component_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix("src/")?;
    let first = below.split('/').next()?;
    (!ROOT_FILES.contains(&below)).then(|| first.strip_suffix(".rs").unwrap_or(first))
}

/// A component that imports itself by way of others, or a name that the table does not have.
fn find_cycle(table: &[(&str, &[&str])]) -> Option<String> {
    let mut done: Vec<&str> = Vec::new();
    while done.len() < table.len() {
        let open = || table.iter().filter(|(name, _)| !done.contains(name));
        match open().find(|(_, allowed)| allowed.iter().all(|name| done.contains(name))) {
            Some((name, _)) => done.push(name),
            None => return Some(open().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")),
        }
    }
    None
}

fn misplaced(path: &str, _: &str) -> Vec<Violation> {
    let unlisted = component_of(path).filter(|name| may_import(name).is_none());
    unlisted.map(|name| violation(path, 1, format!("`{name}` is not in the layer table"))).into_iter().collect()
}

fn wrong_imports(path: &str, text: &str) -> Vec<Violation> {
    let Some(own) = component_of(path) else { return Vec::new() };
    let allowed = may_import(own).unwrap_or_default();
    let code = Code::read(text);
    let mut found = Vec::new();
    for use_of in code.paths() {
        let Some(target) = from_crate_root(path, &code, &use_of) else { continue };
        let problem = match target.first().map(String::as_str) {
            None | Some("*") if use_of.imported => "the crate root by a name that hides the component".to_owned(),
            None | Some("*") => continue,
            Some(name) if name == own || allowed.contains(&name) => continue,
            Some(name) if may_import(name).is_some() => format!("`{name}`"),
            Some(name) => format!("`{name}`, which is not in the layer table"),
        };
        let may = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
        let what = format!("`{own}` imports {problem}: `{}` (it may import {may})", use_of.segments.join("::"));
        found.push(violation(path, use_of.line, what));
    }
    for (at, token) in code.tokens.iter().enumerate() {
        if code.reads(at, &["#", "[", "path"]) || code.reads(at, &["extern", "crate", "self"]) {
            found.push(violation(path, token.line, "a module or the crate under another name hides the component"));
        }
    }
    found
}

/// The path from the crate root, for what is written with `crate` or leads there with `super`.
fn from_crate_root(path: &str, code: &Code, use_of: &PathUse) -> Option<Vec<String>> {
    let mut module = match use_of.segments.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module_of(path, code, use_of.token),
        _ => return None,
    };
    for segment in &use_of.segments {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => drop(module.pop()),
            name => module.push(name.to_owned()),
        }
    }
    Some(module)
}

/// The module that a token stands in, as names from the crate root.
fn module_of(path: &str, code: &Code, token: usize) -> Vec<String> {
    let below = path.strip_prefix("src/").unwrap_or(path);
    let file = below.strip_suffix(".rs").unwrap_or(below);
    let mut module: Vec<String> = file.strip_suffix("/mod").unwrap_or(file).split('/').map(str::to_owned).collect();
    module.extend(code.modules.iter().filter(|inline| inline.contains(token)).map(|inline| inline.name.clone()));
    module
}

fn effects(path: &str, text: &str) -> Vec<Violation> {
    let Some(own) = component_of(path).filter(|own| PURE.contains(own)) else { return Vec::new() };
    let code = Code::read(text);
    let mut found = Vec::new();
    let mut report = |token: usize, what: &str| {
        if let Some(line) = code.tokens.get(token).map(|token| token.line).filter(|_| !code.in_test(token)) {
            found.push(violation(path, line, format!("`{own}` is pure and must not use `{what}`")));
        }
    };
    for use_of in code.paths() {
        if let Some(entry) = IMPURE_PATHS.iter().copied().flatten().find(|entry| reaches(&use_of, entry)) {
            report(use_of.token, entry);
        }
    }
    for at in 0..code.tokens.len() {
        let (before, name) = (code.word(at), code.word(at + 2));
        let called = |(owner, call): &&(&str, &str)| matches(before, owner) && matches(name, call);
        if code.word(at + 1) == "::"
            && let Some((owner, call)) = IMPURE_CALLS.iter().find(called)
        {
            report(at + 2, &format!("{owner}::{call}"));
        }
        if name == "!" && IMPURE_MACROS.contains(&code.word(at + 1)) && ["(", "[", "{"].contains(&code.word(at + 3)) {
            report(at + 1, &format!("{}!", code.word(at + 1)));
        }
    }
    found
}

/// True if a path names an entry of `IMPURE_PATHS` or something in it, or imports a module around it whole, so that
/// the rest of the name would be written where this rule does not see it.
fn reaches(use_of: &PathUse, entry: &str) -> bool {
    let entry: Vec<&str> = entry.split("::").collect();
    let written: Vec<&str> = use_of.segments.iter().map(String::as_str).filter(|segment| *segment != "*").collect();
    let alike = !written.is_empty() && written.iter().zip(&entry).all(|(name, pattern)| matches(name, pattern));
    let counts = if written.len() < entry.len() { use_of.imported } else { use_of.imported || written.len() > 1 };
    alike && counts
}

/// True if a name is the pattern, or starts with what the pattern has before a last `*`.
fn matches(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

/// The files that a `#[cfg(test)] mod name;` of this file makes part of the tests.
fn test_only_files(path: &str, text: &str) -> Vec<String> {
    let code = Code::read(text);
    let files = code.test_files.iter().flat_map(|(token, name)| {
        let module = module_of(path, &code, *token).join("/");
        [format!("src/{module}/{name}.rs"), format!("src/{module}/{name}/mod.rs")]
    });
    files.collect()
}

fn missing_purpose(path: &str, text: &str) -> Vec<Violation> {
    let purpose = text.lines().next().and_then(|line| line.strip_prefix("//!"));
    if !path.ends_with(".rs") || purpose.is_some_and(|words| !words.trim().is_empty()) {
        return Vec::new();
    }
    vec![violation(path, 1, "the first line is not `//!` with what the file is for")]
}

fn too_long(path: &str, text: &str) -> Vec<Violation> {
    let code = Code::read(text);
    let last = code.tokens.len().saturating_sub(1);
    let tests = code.modules.iter().find(|module| module.test && module.last == last);
    let end = tests.and_then(|module| code.tokens.get(module.first)).map_or(usize::MAX, |token| token.line);
    let lines = code.lines.range(..end).count();
    if lines <= CODE_LINES_MAX {
        return Vec::new();
    }
    vec![violation(path, 1, format!("{lines} lines of code, at most {CODE_LINES_MAX} without the tests at its end"))]
}

fn stray_status_codes(path: &str, text: &str) -> Vec<Violation> {
    if STATUS_CODE_PLACES.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let code = Code::read(text);
    let named = code.tokens.iter().filter(|token| token.word == "StatusCode");
    named.map(|token| violation(path, token.line, "`StatusCode` is for the edge only")).collect()
}

fn vague_names(path: &str, _: &str) -> Vec<Violation> {
    let stems = path.split('/').map(|segment| segment.split('.').next().unwrap_or(segment));
    let vague = stems.filter(|stem| VAGUE_NAMES.contains(stem));
    vague.map(|stem| violation(path, 1, format!("`{stem}` does not say what is in it"))).collect()
}

// ---- reading Rust, as far as the rules need it

struct Token {
    /// A name, a number, `::`, `"` for any literal, or one other character.
    word: String,
    line: usize,
}

/// A module written out in its file.
struct Module {
    name: String,
    test: bool,
    /// The first token, of its `#[cfg(test)]` if it has one.
    first: usize,
    last: usize,
}

impl Module {
    fn contains(&self, token: usize) -> bool {
        (self.first..=self.last).contains(&token)
    }
}

/// One path as it is written, a `use` with groups being several.
struct PathUse {
    segments: Vec<String>,
    token: usize,
    line: usize,
    imported: bool,
}

struct Code {
    tokens: Vec<Token>,
    /// The lines that hold code.
    lines: BTreeSet<usize>,
    modules: Vec<Module>,
    /// `#[cfg(test)] mod name;`
    test_files: Vec<(usize, String)>,
}

impl Code {
    fn read(text: &str) -> Self {
        let (tokens, lines) = Lexer::run(text);
        let mut code = Self { tokens, lines, modules: Vec::new(), test_files: Vec::new() };
        code.find_modules();
        code
    }

    fn word(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.word.as_str())
    }

    fn reads(&self, at: usize, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(offset, word)| self.word(at + offset) == *word)
    }

    fn is_name(&self, at: usize) -> bool {
        self.word(at).starts_with(is_word_char) && !KEYWORDS.contains(&self.word(at))
    }

    fn in_test(&self, token: usize) -> bool {
        self.modules.iter().any(|module| module.test && module.contains(token))
    }

    fn find_modules(&mut self) {
        let mut test_attribute = None;
        for at in 0..self.tokens.len() {
            if self.reads(at, &["#", "[", "cfg", "(", "test", ")", "]"]) {
                test_attribute = Some(at);
            } else if self.word(at) == "mod" && self.is_name(at + 1) {
                let name = self.word(at + 1).to_owned();
                let first = test_attribute.unwrap_or(at);
                match self.word(at + 2) {
                    "{" => {
                        let last = self.closing(at + 2);
                        self.modules.push(Module { name, test: test_attribute.is_some(), first, last });
                    }
                    _ if test_attribute.is_some() => self.test_files.push((at, name)),
                    _ => {}
                }
            } else if ["{", "}", ";"].contains(&self.word(at)) {
                test_attribute = None;
            }
        }
    }

    /// The brace that closes the one at `open`.
    fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for at in open..self.tokens.len() {
            match self.word(at) {
                "{" => depth += 1,
                "}" if depth == 1 => return at,
                "}" => depth -= 1,
                _ => {}
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    fn paths(&self) -> Vec<PathUse> {
        let mut found = Vec::new();
        let mut imported = false;
        let mut at = 0;
        while at < self.tokens.len() {
            match self.word(at) {
                // `use<'a>` is a bound, not an import
                "use" => imported = self.word(at + 1) != "<",
                ";" => imported = false,
                // the new name of an import is no path
                "as" if imported => at += 1,
                _ if self.is_name(at) => {
                    at = self.path(at, &[], imported, &mut found);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
        found
    }

    /// Reads the path at `at` with what its groups hold; answers where it ends.
    fn path(&self, mut at: usize, prefix: &[String], imported: bool, found: &mut Vec<PathUse>) -> usize {
        let start = at;
        let mut segments = prefix.to_vec();
        while self.is_name(at) || self.word(at) == "*" {
            segments.push(self.word(at).to_owned());
            at += 1;
            if self.word(at) != "::" || !(self.is_name(at + 1) || ["{", "*"].contains(&self.word(at + 1))) {
                break;
            }
            at += 1;
        }
        if self.word(at) != "{" || self.word(at.wrapping_sub(1)) != "::" {
            if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
                segments.pop();
            }
            let line = self.tokens.get(start).map_or(0, |token| token.line);
            found.push(PathUse { segments, token: start, line, imported });
            return at;
        }
        at += 1;
        while at < self.tokens.len() && self.word(at) != "}" {
            if self.word(at) == "as" {
                at += 2;
            } else if self.is_name(at) || self.word(at) == "*" {
                at = self.path(at, &segments, imported, found);
            } else {
                at += 1;
            }
        }
        at + 1
    }
}

fn is_word_char(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Cuts a text into tokens: no comments, no lifetimes, literals as `"`.
struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
    lines: BTreeSet<usize>,
}

impl Lexer {
    fn run(text: &str) -> (Vec<Token>, BTreeSet<usize>) {
        let mut lexer = Self { chars: text.chars().collect(), at: 0, line: 1, tokens: Vec::new(), lines: BTreeSet::new() };
        while let Some(c) = lexer.peek(0) {
            match (c, lexer.peek(1)) {
                (c, _) if c.is_whitespace() => lexer.skip(1),
                ('/', Some('/')) => lexer.line_comment(),
                ('/', Some('*')) => lexer.block_comment(),
                ('"', _) => lexer.quoted('"'),
                ('\'', _) => lexer.char_or_lifetime(),
                (c, _) if is_word_char(c) => lexer.word(),
                (':', Some(':')) => lexer.token("::".to_owned(), 2),
                (c, _) => lexer.token(c.to_string(), 1),
            }
        }
        (lexer.tokens, lexer.lines)
    }

    fn peek(&self, offset: usize) -> Option<char> {
        self.chars.get(self.at + offset).copied()
    }

    /// Goes on over comments and space: these do not make a line one of code.
    fn skip(&mut self, count: usize) {
        for _ in 0..count {
            self.line += usize::from(self.peek(0) == Some('\n'));
            self.at += 1;
        }
    }

    /// Goes on over code.
    fn consume(&mut self, count: usize) {
        for _ in 0..count {
            if self.peek(0).is_some_and(|c| !c.is_whitespace()) {
                self.lines.insert(self.line);
            }
            self.skip(1);
        }
    }

    fn token(&mut self, word: String, length: usize) {
        self.tokens.push(Token { word, line: self.line });
        self.consume(length);
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.skip(1);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.peek(0) {
            match (c, self.peek(1)) {
                ('/', Some('*')) => depth += 1,
                ('*', Some('/')) => depth -= 1,
                _ => {
                    self.skip(1);
                    continue;
                }
            }
            self.skip(2);
            if depth == 0 {
                return;
            }
        }
    }

    /// A literal that ends with this quote and may hold escapes.
    fn quoted(&mut self, quote: char) {
        self.token("\"".to_owned(), 1);
        while let Some(c) = self.peek(0) {
            self.consume(if c == '\\' { 2 } else { 1 });
            if c == quote {
                return;
            }
        }
    }

    /// A raw string at its first `#` or quote.
    fn raw_string(&mut self, hashes: usize) {
        self.token("\"".to_owned(), hashes + 1);
        while let Some(c) = self.peek(0) {
            if c == '"' && (1..=hashes).all(|offset| self.peek(offset) == Some('#')) {
                return self.consume(hashes + 1);
            }
            self.consume(1);
        }
    }

    fn char_or_lifetime(&mut self) {
        if self.peek(1) == Some('\\') || self.peek(2) == Some('\'') {
            return self.quoted('\'');
        }
        self.consume(1);
        while self.peek(0).is_some_and(is_word_char) {
            self.consume(1);
        }
    }

    /// A name, a number, or the prefix of a literal.
    fn word(&mut self) {
        let length = (0..).take_while(|offset| self.peek(*offset).is_some_and(is_word_char)).count();
        let word: String = self.chars.iter().skip(self.at).take(length).collect();
        let hashes = (length..).take_while(|offset| self.peek(*offset) == Some('#')).count();
        let after = self.peek(length + hashes);
        match (word.as_str(), hashes, after) {
            ("r" | "br" | "cr", _, Some('"')) => {
                self.consume(length);
                self.raw_string(hashes);
            }
            ("b" | "c", 0, Some(quote @ ('"' | '\''))) => {
                self.consume(length);
                self.quoted(quote);
            }
            // `r#name` is the name
            ("r", 1, Some(c)) if is_word_char(c) => self.consume(2),
            _ => self.token(word, length),
        }
    }
}

#[cfg(test)]
mod planted {
    use super::*;

    /// The lines with a violation.
    fn lines_of(found: &[Violation]) -> Vec<usize> {
        let lines: BTreeSet<usize> = found.iter().map(|violation| violation.line).collect();
        lines.into_iter().collect()
    }

    /// Asserts that a rule sees nothing in texts that only say the words, and still sees the words right after each.
    fn check_only_said(rule: impl Fn(&str) -> Vec<Violation>, words: &str) {
        for text in only_said(words) {
            let found = rule(&format!("{text}\n; {words}"));
            assert_eq!(lines_of(&found), [text.lines().count() + 1], "{text}\n{found:?}");
        }
    }

    /// Texts that name what is forbidden without using it.
    fn only_said(words: &str) -> Vec<String> {
        vec![
            format!("// {words}\n/// {words}\n//! {words}\nfn f() {{}} // {words}"),
            format!("/* {words} /* nested */ {words} */ fn f() {{}}"),
            format!("const A: &str = \"{words}\";"),
            format!("const A: &str = \"\\\" {words} \\\\\"; // \" {words}"),
            format!("const A: &str = r\"\\\"; const B: &str = r#\"\" {words} \"#;"),
            format!("const A: &[u8] = b\"{words}\"; const B: &[u8] = br##\"\"# {words}\"##; const C: &CStr = c\"{words}\";"),
            format!("const A: &str = \"several\n{words}\nlines\";"),
            format!("const Q: char = '\"'; // {words} \"\nconst R: u8 = b'\\''; /* {words} */"),
            format!("fn f<'a>(a: &'a str, b: &'static str) -> char {{ '\\u{{22}}' }} // {words}"),
            format!("#[doc = \"{words}\"] fn r#use() {{}}"),
        ]
    }

    #[test]
    fn a_planted_wrong_import_is_caught() {
        let rows: &[(&str, &[usize])] = &[
            ("use crate::gateway::Handler;", &[1]),
            ("\npub use crate::sync::Client;", &[2]),
            ("pub(crate) use crate::gateway::Handler as H;", &[1]),
            ("use crate::{types::Srn,\n gateway::Handler};", &[2]),
            ("use crate::{types::{Srn, arn::Arn},\n access::{self, deep::{Er,\n Em}}};", &[2, 3]),
            ("use {crate::authn::Verifier, crate::types::Srn};", &[1]),
            ("fn f() {\n  let x = crate::gateway::run(1);\n  x as crate::cli::Y\n}", &[2, 3]),
            ("fn f(x: &crate::config::Limits) -> Vec<crate::types::Srn> {}", &[1]),
            ("use crate /* hop */ :: // hop\n gateway::Handler;", &[1]),
            ("use crate::r#gateway::Handler;", &[1]),
            ("use crate::nowhere::X;", &[1]),
            ("use super::super::gateway::Handler;", &[1]),
            ("use super::super::{types::Srn, gateway::Handler};", &[1]),
            ("use self::super::{super::gateway::Handler};", &[1]),
            ("mod inner { fn f() { super::super::super::gateway::run() } }", &[1]),
            ("#[cfg(test)]\nmod tests {\n  use crate::gateway::Handler;\n}", &[3]),
            ("macro_rules! m { () => { $crate::gateway::run() } }", &[1]),
            ("use crate as root;", &[1]),
            ("use crate::*;", &[1]),
            ("use crate::{self as root, types::Srn};", &[1]),
            ("use super::super as root;", &[1]),
            ("pub use super::super::*;", &[1]),
            ("#[path = \"../gateway/mod.rs\"]\nmod gateway;", &[1]),
            ("extern crate self as portcullis;", &[1]),
        ];
        for (text, lines) in rows {
            let found = wrong_imports("src/policy/compile.rs", text);
            assert_eq!(lines_of(&found), *lines, "{text}\n{found:?}");
        }
        let found = wrong_imports("src/policy/compile.rs", "use crate::gateway::Handler;");
        assert_eq!(
            found.first().map(ToString::to_string).unwrap_or_default(),
            "src/policy/compile.rs:1: `policy` imports `gateway`: `crate::gateway::Handler` (it may import types, source)"
        );
        assert_eq!(wrong_imports("src/policy/mod.rs", "use super::gateway;").len(), 1);
        assert_eq!(wrong_imports("src/policy.rs", "use super::gateway;").len(), 1);
    }

    #[test]
    fn an_allowed_import_passes() {
        let rows = [
            "use crate::types::{self, Srn};\npub(crate) use crate::source::Tree as Source;",
            "use crate::{policy::verdict::{Effect, *}, types::*};\npub(in crate::policy) fn f() {}",
            "pub(crate) struct A;\npub(super) struct B;\npub(in super::super) struct C;",
            "use self::gateway::X;\nuse super::gateway::Y;\nuse super::*;\nfn f() { gateway::run() }",
            "mod tests { use super::*; use super::super::verdict::X; }",
            "fn f<'a>(x: &'a str) -> impl Iterator<Item = char> + use<'a> { x.chars() }\npub(crate) struct A;",
        ];
        for text in rows {
            assert_eq!(wrong_imports("src/policy/compile.rs", text), [], "{text}");
        }
        check_only_said(|text| wrong_imports("src/policy/compile.rs", text), "use crate::gateway::Handler; crate::cli::run();");
        assert_eq!(wrong_imports("src/main.rs", "use crate::gateway::Handler;"), []);
        assert_eq!(wrong_imports("src/gateway/read.rs", "use crate::access::{Permit, Request};"), []);
    }

    #[test]
    fn a_planted_effect_is_caught() {
        let rows: &[(&str, &[usize])] = &[
            ("use std::fs;", &[1]),
            ("use std::{fmt,\n fs::File,\n io::{self, Read}};", &[2, 3]),
            ("fn f() { std::env::var(\"A\");\n ::std::process::exit(1) }", &[1, 2]),
            ("fn f() { return ::std::thread::spawn(g) }", &[1]),
            ("use std::time::{Duration, SystemTime};", &[1]),
            ("use std::net::{\n IpAddr,\n TcpStream,\n UdpSocket};", &[3, 4]),
            ("use std::net;", &[1]),
            ("use std::time::*;", &[1]),
            ("use std as s;", &[1]),
            ("use tokio::spawn;", &[1]),
            ("async fn f() {\n hyper::rt::sleep() }", &[2]),
            ("#[tracing::instrument]\nfn f() {\n  tracing::info!(\"x\") }", &[1, 3]),
            ("fn f() {\n println!(\"x\");\n eprintln!();\n dbg![1] }", &[2, 3, 4]),
            ("fn f() { rand::random() }\nuse aws_lc_rs::rand::SystemRandom;", &[1, 2]),
            ("fn f() { Uuid::new_v4();\n uuid::Uuid::now_v7() }", &[1, 2]),
            ("fn f() { jiff::Timestamp::now();\n <jiff::Zoned>::now() }", &[1, 2]),
            ("mod tests { use std::fs; }", &[1]),
            ("#[cfg(test)]\nuse std::fs;\nmod a { use std::env; }", &[2, 3]),
            ("#[cfg(test)]\nmod tests { use std::fs; }\nuse std::fs;", &[3]),
        ];
        for (text, lines) in rows {
            let found = effects("src/access/mod.rs", text);
            assert_eq!(lines_of(&found), *lines, "{text}\n{found:?}");
        }
    }

    #[test]
    fn code_without_effects_passes() {
        let rows = [
            "use std::net::{IpAddr, Ipv4Addr};\nuse std::time::Duration;\nuse std::fmt::Write as _;\nuse uuid::Uuid as rand;",
            "fn f(now: Timestamp, rand: u8) -> bool { request.now() != now && print != rand && self::rand::x() }",
            "#[cfg(test)]\n#[expect(clippy::panic)]\nmod tests { use std::fs; fn f() { println!(\"{}\", X::now()) } }",
        ];
        for text in rows {
            assert_eq!(effects("src/access/mod.rs", text), [], "{text}");
        }
        check_only_said(|text| effects("src/access/mod.rs", text), "use std::fs; tokio::spawn(x); println!(x); Instant::now();");
        assert_eq!(effects("src/gateway/mod.rs", "use std::fs;"), []);
    }

    #[test]
    fn a_test_module_in_its_own_file_is_known_as_one() {
        let files = test_only_files("src/policy/mod.rs", "mod a;\n#[cfg(test)]\nmod oracle;\nmod b;");
        assert_eq!(files, ["src/policy/oracle.rs", "src/policy/oracle/mod.rs"]);
        assert_eq!(test_only_files("src/policy/a.rs", "#[cfg(test)] mod b;").first().unwrap(), "src/policy/a/b.rs");
    }

    #[test]
    fn a_planted_file_out_of_shape_is_caught() {
        assert_eq!(missing_purpose("src/types/srn.rs", "//! Names of resources.\nuse x;"), []);
        for text in ["", "//!\n", "// Names.\n", "\n//! Names.\n", "use x;\n//! Names.\n"] {
            assert_eq!(missing_purpose("src/types/srn.rs", text).len(), 1, "{text:?}");
        }
        for path in ["src/helpers/a.rs", "src/types/util.rs", "src/types/common/a.rs", "src/types/misc.md"] {
            assert_eq!(vague_names(path, "").len(), 1, "{path}");
        }
        assert_eq!(vague_names("src/types/utility_bill.rs", ""), []);
        for path in ["src/extra/a.rs", "src/extra.rs", "src/notes.md", "src/bin/tool.rs"] {
            assert_eq!(misplaced(path, "").len(), 1, "{path}");
        }
        for path in ["src/main.rs", "src/lib.rs", "src/ARCHITECTURE.md", "src/types/srn.rs", "src/types/data.json"] {
            assert_eq!(misplaced(path, ""), [], "{path}");
        }
        let text = "//! x\nuse http::StatusCode;";
        assert_eq!(lines_of(&stray_status_codes("src/access/mod.rs", text)), [2]);
        assert_eq!(lines_of(&stray_status_codes("src/control/feed.rs", text)), [2]);
        assert_eq!(stray_status_codes("src/control/api/error.rs", text), []);
        assert_eq!(stray_status_codes("src/gateway/refuse.rs", text), []);
        check_only_said(|text| stray_status_codes("src/access/mod.rs", text), "StatusCode");
    }

    #[test]
    fn a_planted_long_file_is_caught() {
        let code = |lines: usize| "let x = \"a\"; // why\n".repeat(lines);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", code(900));
        let silent = "// why\n\n/* why\nwhy */\n".repeat(300);
        let length = |text: &str| too_long("src/types/srn.rs", text).len();
        assert_eq!(length(&code(500)), 0);
        assert_eq!(length(&code(501)), 1);
        assert_eq!(length(&format!("{silent}{}{silent}{tests}{silent}", code(500))), 0);
        assert_eq!(length(&format!("{silent}{}{tests}", code(501))), 1);
        assert_eq!(length(&format!("{tests}{}", code(1))), 1, "tests that are not at the end count");
        assert_eq!(length(&format!("const A: &str = \"\n{}\";", "text\n".repeat(499))), 1, "a literal's lines count");
    }

    #[test]
    fn a_planted_cycle_is_found() {
        assert_eq!(find_cycle(&[("a", &[]), ("b", &["a"])]), None);
        assert_eq!(find_cycle(&[("a", &[]), ("b", &["c", "a"]), ("c", &["b"])]), Some("b, c".to_owned()));
        assert_eq!(find_cycle(&[("a", &["gone"])]), Some("a".to_owned()));
    }

    #[test]
    fn this_file_keeps_its_own_rules() {
        let text = include_str!("architecture.rs");
        assert_eq!(missing_purpose("tests/architecture.rs", text), []);
        assert_eq!(too_long("tests/architecture.rs", text), []);
    }
}
