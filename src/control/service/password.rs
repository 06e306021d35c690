//! Passwords: what may be one (seed 003, L281 to L290), and their hashes: Argon2id, printed in the PHC string format.

use std::ops::RangeInclusive;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::fields;
use crate::control::random::{self, NoRandom};
use crate::source::{Cursor, Value};
use crate::types::Secret;

/// Characters of a password (seed 003, L286).
const CHARS: RangeInclusive<usize> = 9..=20;
/// One of these must be in it (seed 003, L284).
const MARKS: &str = "!@#$%&*^";
/// How often one character may stand in it (seed 003, L286).
const SAME_MAX: usize = 3;
/// This many neighbours of the alphabet or among the digits are too many (seed 003, L289).
const RUN: usize = 4;
/// Parts by which everybody begins to guess.
const GUESSED: [&str; 8] = ["password", "passw0rd", "qwer", "asdf", "zxcv", "admin", "welcome", "letmein"];

/// How many passwords are hashed at a time: each takes `MEMORY_KIB` and a processor.
const HASHERS_MAX: usize = 2;
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Longest text that is compared with passwords at all: one of 20 characters, as Base64.
const ATTEMPT_BYTES_MAX: usize = 128;

static HASHERS: Semaphore = Semaphore::const_new(HASHERS_MAX);

/// A password that keeps the rules, in clear: never printed, wiped when dropped.
#[derive(Debug)]
pub(crate) struct Password(Secret);

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashError {
    /// No salt.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The parameters, or the memory.
    #[error("a password could not be hashed")]
    Failed,
}

/// What somebody says is a password: kept by no rule, never printed, wiped when dropped.
#[derive(Debug)]
pub(crate) struct Attempt(Secret);

impl Attempt {
    /// Reads it, in clear or as Base64, as a password is set.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let Value::String(sent) = &cursor.node().value else {
            cursor.sensitive_error("this is no password", "write it as a text");
            return None;
        };
        if sent.len() > ATTEMPT_BYTES_MAX {
            cursor.sensitive_error("this is no password", "write at most 20 characters");
            return None;
        }
        Some(Self(Secret::new(clear(sent).as_bytes())))
    }

    /// Whether the hash is of it. Without a hash it is not, and takes as long.
    pub(crate) async fn verify(self, hash: Option<String>) -> Result<bool, HashError> {
        let place = HASHERS.acquire().await.map_err(|_| HashError::Failed)?;
        let work = move || {
            let _place = place;
            match hash {
                Some(known) => fits(self.0.expose(), &known),
                None => derive(self.0.expose(), &[0; SALT_BYTES], (MEMORY_KIB, PASSES, LANES)).map(|_| false),
            }
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| HashError::Failed)?
    }
}

/// What was meant, in clear: Base64 has no mark, and every password has one.
fn clear(sent: &str) -> Zeroizing<String> {
    let decoded = STANDARD.decode(sent.as_bytes()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.map_or_else(|| Zeroizing::new(sent.to_owned()), Zeroizing::new)
}

impl Password {
    /// Reads a password, in clear or, as the vendor's clients send it, as Base64. The two cannot be confused: a password needs a
    /// mark, and Base64 has none of them.
    ///
    /// SECURITY: nothing of it is repeated in a complaint.
    pub(crate) fn decode(cursor: &Cursor<'_>) -> Option<Self> {
        let sent = Zeroizing::new(fields::text(cursor, "write a password of 9 to 20 characters")?);
        let clear = clear(&sent);
        let problems = problems(&clear);
        for problem in &problems {
            cursor.sensitive_error(problem, "choose another one");
        }
        problems.is_empty().then(|| Self(Secret::new(clear.as_bytes())))
    }

    /// Whether it is this name, in whatever letter case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.0.expose().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Its hash; `None` when it is one of the `previous` ones.
    pub(crate) async fn hash(self, previous: Vec<String>) -> Result<Option<String>, HashError> {
        let salt = random::bytes::<SALT_BYTES>()?;
        let place = HASHERS.acquire().await.map_err(|_| HashError::Failed)?;
        let work = move || {
            // Held to the end of the work, also when nobody waits for it any more.
            let _place = place;
            for known in &previous {
                if fits(self.0.expose(), known)? {
                    return Ok(None);
                }
            }
            let hash = derive(self.0.expose(), &salt, (MEMORY_KIB, PASSES, LANES))?;
            let (salt, hash) = (STANDARD_NO_PAD.encode(salt), STANDARD_NO_PAD.encode(hash.as_slice()));
            Ok(Some(format!("$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${hash}")))
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| HashError::Failed)?
    }
}

/// Whether the hash is of this password.
fn fits(password: &[u8], phc: &str) -> Result<bool, HashError> {
    let (costs, salt, hash) = parse(phc).ok_or(HashError::Failed)?;
    let own = derive(password, &salt, costs)?;
    Ok(verify_slices_are_equal(own.as_slice(), &hash).is_ok())
}

type Costs = (u32, u32, u32);

fn derive(password: &[u8], salt: &[u8], (memory, passes, lanes): Costs) -> Result<Zeroizing<[u8; HASH_BYTES]>, HashError> {
    let params = Params::new(memory, passes, lanes, Some(HASH_BYTES)).map_err(|_| HashError::Failed)?;
    let mut hash = Zeroizing::new([0; HASH_BYTES]);
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2.hash_password_into(password, salt, hash.as_mut_slice()).map_err(|_| HashError::Failed)?;
    Ok(hash)
}

fn parse(phc: &str) -> Option<(Costs, Vec<u8>, Vec<u8>)> {
    let mut parts = phc.strip_prefix("$argon2id$v=19$")?.split('$');
    let (costs, salt, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let mut costs = costs.split(',');
    let mut cost = |name: &str| costs.next()?.strip_prefix(name)?.parse().ok();
    let costs = (cost("m=")?, cost("t=")?, cost("p=")?);
    Some((costs, STANDARD_NO_PAD.decode(salt).ok()?, STANDARD_NO_PAD.decode(hash).ok()?))
}

/// All that is wrong with a password.
fn problems(text: &str) -> Vec<&'static str> {
    let has = |kind: fn(&char) -> bool| text.chars().any(|character| kind(&character));
    let kinds: [fn(&char) -> bool; 4] =
        [char::is_ascii_uppercase, char::is_ascii_lowercase, char::is_ascii_digit, |character: &char| MARKS.contains(*character)];
    let same = |character: char| text.chars().filter(|other| *other == character).count();
    let chars = text.chars().count();
    let rules = [
        (!CHARS.contains(&chars), "it must have 9 to 20 characters"),
        (!text.chars().all(|character| character.is_ascii_graphic()), "it may hold English letters, digits and marks only"),
        (!kinds.into_iter().all(has), "it needs a capital letter, a small letter, a digit and one of ! @ # $ % & * ^"),
        // Of long texts, which are refused anyway, only a part is looked at.
        (text.chars().take(*CHARS.end()).any(|character| same(character) > SAME_MAX), "no character may stand in it more than three times"),
        (has_run(text.as_bytes()), "four or more neighbours such as abcd or 4321 are not allowed"),
        (is_guessed(text.as_bytes()), "a part of it is easy to guess"),
    ];
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, problem)| problem).collect()
}

fn has_run(bytes: &[u8]) -> bool {
    let low = |byte: &u8| i16::from(byte.to_ascii_lowercase());
    bytes.windows(RUN).any(|part| {
        let alike = part.iter().all(u8::is_ascii_alphabetic) || part.iter().all(u8::is_ascii_digit);
        let steps = |step: i16| part.iter().zip(part.iter().skip(1)).all(|(one, next)| low(next) - low(one) == step);
        alike && (steps(1) || steps(-1))
    })
}

fn is_guessed(bytes: &[u8]) -> bool {
    GUESSED.iter().any(|word| bytes.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Node, Report, Source, Span};

    fn read(text: &str) -> (Option<Password>, String) {
        let node = Node { value: Value::String(text.into()), span: Span::default() };
        let (source, report) = (Source::new("body", ""), Report::new());
        let password = Password::decode(&Cursor::new(&node, &source, &report));
        (password, report.diagnostics().into_iter().map(|found| found.message).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn passwords_keep_every_rule() {
        for good in ["Tr0ub&dor", "SamsungsdsCloud!23", "A1!bcd-efg~12", "aB3$aB3$aB3$"] {
            assert!(read(good).0.is_some(), "{good}: {}", read(good).1);
        }
        for (bad, expected) in [
            ("Tr0ub&do", "9 to 20"),
            ("Tr0ub&dorTr0ub&dorTr0", "9 to 20"),
            ("Tr0ub&dör", "English letters"),
            ("Tr0ub &dor", "English letters"),
            ("tr0ub&dor", "capital"),
            ("TR0UB&DOR", "capital"),
            ("Troub&dor", "capital"),
            ("Tr0ub-dor", "capital"),
            ("aB3$aB3$aB3$a", "three times"),
            ("Tr0ub&Bcde", "neighbours"),
            ("Tr0ub&4321", "neighbours"),
            ("Tr0&QWERtz", "guess"),
        ] {
            let (password, complaints) = read(bad);
            assert!(password.is_none() && complaints.contains(expected), "{bad}: {complaints}");
            assert!(!complaints.contains(bad), "{complaints}");
        }
    }

    #[test]
    fn base64_is_the_password_inside() {
        let password = read("U2Ftc3VuZ3Nkc0Nsb3VkITIz").0.unwrap();
        assert!(password.is("samsungsdscloud!23"));
        assert_eq!(format!("{password:?}"), "Password(Secret(..))");
    }

    #[tokio::test]
    async fn a_hash_fits_its_password_only() {
        let hash = |text: &str, previous: &[&str]| read(text).0.unwrap().hash(previous.iter().map(|hash| (*hash).to_owned()).collect());
        let first = hash("Tr0ub&dor", &[]).await.unwrap().unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        let second = hash("Tr0ub&dot", &[&first]).await.unwrap().unwrap();
        assert_eq!(hash("Tr0ub&dor", &[&second, &first]).await.unwrap(), None);
        assert!(matches!(hash("Tr0ub&dor", &["nothing"]).await, Err(HashError::Failed)));
    }
}
