//! From a line of the table to the bytes that are sent.

use super::token::Draft;
use crate::aws::Aws;
use crate::client::Who;
use crate::harness::{ADMIN, READER};

/// May see the group `g1` and those whose ids begin with `a-`, and nothing else.
pub(super) const NARROW: Who = Who { key: "4a220000000000000000000000000001", secret: "narrow-secret-0000001" };
/// May see all groups, unless the header `X-Env` says `prod`.
pub(super) const CAUTIOUS: Who = Who { key: "ca070000000000000000000000000001", secret: "cautious-secret-00001" };
/// Has an allowlist, in gateways that are about allowlists.
pub(super) const LISTED: Who = Who { key: "115ed000000000000000000000000001", secret: "listed-secret-0000001" };

/// The `sent` of a row, taken apart.
#[derive(Default)]
pub(super) struct Probe {
    method: &'static str,
    target: Vec<u8>,
    version: &'static str,
    lines: Vec<Vec<u8>>,
    body: Vec<u8>,
    who: Option<Who>,
    signs: Option<&'static str>,
    tokens: Vec<Vec<u8>>,
    aws: Option<AwsForm>,
    swaps: Vec<(String, String)>,
    /// An allowlist to be loaded.
    pub(super) allowed: Option<String>,
}

/// How a request is signed for AWS.
enum AwsForm {
    /// In the header, over these headers.
    Over(Vec<(&'static str, &'static str)>),
    /// In the query, to live for so many seconds.
    InQuery(&'static str),
}

impl Probe {
    pub(super) fn read(sent: &'static str) -> Self {
        let mut pieces = sent.split(" | ");
        let mut words = pieces.next().unwrap().splitn(3, ' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap_or_default());
        let version = words.next().unwrap_or("HTTP/1.1");
        let mut probe = Self { method, target: plain(target), version, who: Some(ADMIN), ..Self::default() };
        let (mut draft, mut carriers) = (None, Vec::new());
        for piece in pieces {
            let Some(directive) = piece.strip_prefix('@') else {
                probe.lines.push(plain(piece));
                continue;
            };
            let (what, how) = directive.split_once(' ').unwrap_or((directive, ""));
            match what {
                "nobody" => probe.who = None,
                "reader" => probe.who = Some(READER),
                "narrow" => probe.who = Some(NARROW),
                "cautious" => probe.who = Some(CAUTIOUS),
                "signs" => probe.signs = Some(how),
                "body" => probe.body = plain(how),
                "aws" => probe.aws = Some(AwsForm::Over(how.split(" & ").filter_map(|pair| pair.split_once('=')).collect())),
                "presigned" => probe.aws = Some(AwsForm::InQuery(how)),
                "swap" => {
                    let (from, to) = how.split_once(" => ").unwrap();
                    probe.swaps.push((text(from), text(to)));
                }
                "token" => {
                    draft.get_or_insert_with(Draft::good);
                    carriers.push(how);
                }
                "revoked" => draft = Some(Draft::revoked()),
                "allowed" => probe.allowed = Some(how.to_owned()),
                "client" => {
                    probe.who = Some(LISTED);
                    probe.lines.push(plain(&format!("X-Forwarded-For: {how}")));
                }
                other => draft.get_or_insert_with(Draft::good).change(other, how),
            }
        }
        if let Some(draft) = draft {
            probe.who = None;
            probe.carry(&draft.text(), &carriers);
        }
        probe
    }

    /// Puts a token into the lines that are made for it, or into either of the two that carry one.
    fn carry(&mut self, token: &str, carriers: &[&str]) {
        let usual = ["X-Auth-Token: {t}", "Authorization: Bearer {t}"];
        let carriers = if carriers.is_empty() { &usual[..] } else { carriers };
        self.tokens = carriers.iter().map(|line| plain(&line.replace("{t}", token))).collect();
    }

    /// Whether it is for a gateway that follows a feed.
    pub(super) fn is_about_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    pub(super) const fn method(&self) -> &'static str {
        self.method
    }

    pub(super) fn target(&self) -> String {
        String::from_utf8_lossy(&self.target).into_owned()
    }

    /// What is sent, once for each header that carries the token.
    pub(super) fn requests(&self) -> Vec<Vec<u8>> {
        if let Some(form) = &self.aws {
            return vec![self.swapped(self.signed_for_aws(form))];
        }
        if self.tokens.is_empty() {
            return vec![self.swapped(self.bytes(&self.lines, None, &self.body))];
        }
        self.tokens.iter().map(|line| self.bytes(&self.lines, Some(line), &self.body)).collect()
    }

    /// The same request with nothing hostile in it, and with this body if there is one.
    pub(super) fn good(&self, body: Option<&str>) -> Vec<u8> {
        let token = self.is_about_tokens().then(|| format!("X-Auth-Token: {}", Draft::good().text()).into_bytes());
        let lines: Vec<Vec<u8>> = body.iter().map(|body| format!("Content-Length: {}", body.len()).into_bytes()).collect();
        self.bytes(&lines, token.as_ref(), body.unwrap_or_default().as_bytes())
    }

    fn bytes(&self, lines: &[Vec<u8>], token: Option<&Vec<u8>>, body: &[u8]) -> Vec<u8> {
        let host = lines.iter().find_map(|line| {
            let (name, value) = line.split_at_checked(5)?;
            name.eq_ignore_ascii_case(b"host:").then(|| String::from_utf8_lossy(value).trim().to_owned())
        });
        let target = self.signs.map_or_else(|| self.target(), str::to_owned);
        let signature = self.who.map_or_else(String::new, |who| who.sign(self.method, host.as_deref().unwrap_or("iam.test"), &target));
        let mut bytes = [self.method.as_bytes(), b" ", &self.target, b" ", self.version.as_bytes(), b"\r\n"].concat();
        if host.is_none() {
            bytes.extend_from_slice(b"Host: iam.test\r\n");
        }
        bytes.extend_from_slice(signature.as_bytes());
        for line in lines.iter().chain(token) {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        [&bytes, &b"\r\n"[..], body].concat()
    }

    fn signed_for_aws(&self, form: &AwsForm) -> Vec<u8> {
        let target = self.target();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let request = Aws::new(self.method, path).query(query);
        match form {
            AwsForm::Over(headers) => headers.iter().fold(request, |request, (name, value)| request.header(name, &text(value))).signed(),
            AwsForm::InQuery(expires_s) => request.presigned(expires_s),
        }
    }

    fn swapped(&self, bytes: Vec<u8>) -> Vec<u8> {
        if self.swaps.is_empty() {
            return bytes;
        }
        let mut sent = String::from_utf8(bytes).unwrap();
        for (from, to) in &self.swaps {
            assert!(sent.contains(from.as_str()), "{from}: {sent}");
            sent = sent.replacen(from.as_str(), to, 1);
        }
        sent.into_bytes()
    }
}

/// Text of the table as bytes: `\r`, `\n`, `\t`, `\s` (a space at an end), `\xNN`, and `{x*N}` for `x` so many times.
fn plain(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some(character) = rest.chars().next() {
        let mut escape = rest.strip_prefix('\\').unwrap_or_default().chars();
        let (written, taken) = match (repeated(rest), escape.next()) {
            (Some(repeated), _) => repeated,
            (None, Some('r')) => (b"\r".to_vec(), 2),
            (None, Some('n')) => (b"\n".to_vec(), 2),
            (None, Some('t')) => (b"\t".to_vec(), 2),
            (None, Some('s')) => (b" ".to_vec(), 2),
            (None, Some('x')) => (vec![u8::from_str_radix(escape.as_str().get(..2).unwrap(), 16).unwrap()], 4),
            (None, _) => (character.to_string().into_bytes(), character.len_utf8()),
        };
        bytes.extend_from_slice(&written);
        rest = rest.split_at(taken).1;
    }
    bytes
}

/// The bytes of `{x*N}` at the beginning, and its length.
fn repeated(text: &str) -> Option<(Vec<u8>, usize)> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let (piece, times) = inner.split_once('*')?;
    let times: usize = times.parse().ok()?;
    Some((piece.repeat(times).into_bytes(), inner.len() + 2))
}

fn text(written: &str) -> String {
    String::from_utf8(plain(written)).unwrap()
}
