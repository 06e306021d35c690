//! Records, keys, digests and frames read back as they were printed.

use super::*;

const ID: &str = "9b7653f6f47a42e38055934a0575a813";
const PUBLIC_KEY: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const OTHER: &str = "efda56a968cd45b2873d9bf5fab58e95";

#[test]
fn what_is_printed_reads_back_as_the_same_record() {
    for text in [
        format!(r#"{{"kind":"account","id":"{ID}","name":"한글 \"a\"\n","active":false}}"#).replace("\\n", " "),
        format!(r#"{{"kind":"user","id":"{ID}","account":"{OTHER}","name":"a","root":true}}"#),
        format!(r#"{{"kind":"group","id":"{ID}","account":"{OTHER}","name":"a"}}"#),
        format!(r#"{{"kind":"membership","group":"{ID}","user":"{OTHER}"}}"#),
        format!(r#"{{"kind":"policy","id":"{ID}","account":"system","name":"a","document":"{{\"Version\":\n1}}"}}"#),
        format!(r#"{{"kind":"policy","id":"{ID}","account":"{OTHER}","name":"a","document":{{"file":"x.json"}}}}"#),
        format!(r#"{{"kind":"attachment","policy":"{ID}","user":"{OTHER}"}}"#),
        format!(r#"{{"kind":"attachment","policy":"{ID}","group":"{OTHER}"}}"#),
        format!(r#"{{"kind":"attachment","policy":"{ID}","role":"{OTHER}"}}"#),
        format!(r#"{{"kind":"role","id":"{ID}","account":"{OTHER}","name":"a"}}"#),
        format!(r#"{{"kind":"sessions_valid_from","role":"{ID}","sequence":17}}"#),
        format!(r#"{{"kind":"access_key","id":"{ID}","user":"{OTHER}","secret":{{"sealed":"v1.x"}}}}"#),
        format!(
            r#"{{"kind":"access_key","id":"{ID}","user":"{OTHER}","secret":{{"file":"x"}},"enabled":false,"expires_at":"2027-01-31T00:00:00Z"}}"#
        ),
        format!(r#"{{"kind":"key_security","user":"{ID}","allowed_addresses":"not_used"}}"#),
        format!(r#"{{"kind":"access_key","id":"{ID}","user":"{OTHER}","secret":{{"sealed":"v1.x"}},"parent":"{OTHER}"}}"#),
        format!(
            r#"{{"kind":"access_key","id":"{ID}","user":"{OTHER}","secret":{{"sealed":"v1.x"}},"debug_until":"2027-01-31T00:00:00Z"}}"#
        ),
        format!(r#"{{"kind":"key_security","user":"{ID}","allowed_addresses":[],"authentication_method":"TemporaryKey"}}"#),
        format!(r#"{{"kind":"key_security","user":"{ID}","allowed_addresses":[],"authentication_method":"Any"}}"#),
        format!(r#"{{"kind":"key_security","user":"{ID}","allowed_addresses":[]}}"#),
        format!(r#"{{"kind":"key_security","user":"{ID}","allowed_addresses":["10.0.0.0/8","2001:db8::1","192.0.2.1"]}}"#),
        r#"{"kind":"definition","service":"iam","document":"kind: x\npaths: {}\n"}"#.to_owned(),
        format!(r#"{{"kind":"token_key","id":"{ID}","public_key":"{PUBLIC_KEY}"}}"#),
        format!(r#"{{"kind":"tokens_valid_from","user":"{ID}","sequence":17}}"#),
        format!(r#"{{"kind":"revoked_token","user":"{ID}","id":"{OTHER}","expires_at":"2027-01-31T00:00:00Z"}}"#),
        format!(r#"{{"kind":"console_access","user":"{ID}","allowed_addresses":["10.0.0.0/8"]}}"#),
        format!(r#"{{"kind":"console_access","account":"{ID}","allowed_addresses":[]}}"#),
        format!(r#"{{"kind":"console_access","account":"{ID}","allowed_addresses":"not_used"}}"#),
        format!(r#"{{"kind":"token_key","id":"{ID}","public_key":"{PUBLIC_KEY}","not_after":"2027-01-31T00:00:00Z"}}"#),
    ] {
        let text = text.replace('\n', "\\n");
        let record = read_json(&text).unwrap();
        let printed = record.to_json();
        let again = read_json(&printed).unwrap();
        assert_eq!(again.to_json(), printed);
        assert_eq!((again.key(), printed.contains('\n')), (record.key(), false), "{text}");
        let key = record.key().to_string();
        assert_eq!(key.parse::<RecordKey>().unwrap(), record.key());
        for bad in [format!("{key}/"), format!("{key}/x"), key.to_uppercase(), format!("/{key}")] {
            assert!(bad.parse::<RecordKey>().is_err(), "{bad}");
        }
    }
}

#[test]
fn the_policy_of_a_resource_is_known_by_its_srn() {
    let srn = "srn:e::acc:kr-west1::object-store:bucket/a/b:c";
    let record = read_json(&format!(r#"{{"kind":"resource_policy","resource":"{srn}","document":"{{}}"}}"#)).unwrap();
    assert_eq!(read_json(&record.to_json()).unwrap().to_json(), record.to_json());
    let key = record.key();
    assert_eq!(key.to_string(), format!("resource_policy/{srn}"));
    assert_eq!(key.to_string().parse(), Ok(key));
    for bad in ["resource_policy/", "resource_policy/x", "resource_policy/srn:e::acc:::iam:user"] {
        assert!(bad.parse::<RecordKey>().is_err(), "{bad}");
    }
}

#[test]
fn an_unreadable_record_says_why_and_never_what_may_be_secret() {
    let error = |text: &str| read_json(text).unwrap_err();
    assert!(error("{").contains("line") || !error("{").is_empty());
    let leaked = error(&format!(r#"{{"kind":"access_key","id":"{ID}","user":"{OTHER}","secret":"hunter2hunter2hunter2"}}"#));
    assert!(!leaked.contains("hunter2"), "{leaked}");
    assert!(error(r#"{"kind":"rule"}"#).contains("rule"));
    for both in [format!(r#""user":"{ID}""#), format!(r#""group":"{ID}""#), format!(r#""user":"{ID}","group":"{ID}""#)] {
        assert!(error(&format!(r#"{{"kind":"attachment","policy":"{ID}","role":"{ID}",{both}}}"#)).contains("`role` stands beside"));
    }
    for bad in [format!(r#""public_key":"{PUBLIC_KEY}=""#), format!(r#""public_key":"{PUBLIC_KEY}","alg":"none""#), r#""x":1"#.to_owned()] {
        assert!(!error(&format!(r#"{{"kind":"token_key","id":"{ID}",{bad}}}"#)).is_empty());
    }
}

#[test]
fn a_digest_forgets_what_is_removed_and_does_not_see_order() {
    let of = |number: u8| Digest::of(&format!("user/{number}"), "{}");
    let mut one = Digest::default();
    let mut other = Digest::default();
    for number in 0..100 {
        one.add(of(number));
        other.add(of(99 - number));
    }
    assert_eq!(one, other);
    one.add(of(7));
    assert_ne!(one, other);
    one.remove(of(7));
    assert_eq!(one, other);
    assert_eq!(one.to_string().parse::<Digest>().unwrap(), one);
    assert!("+0".repeat(16).parse::<Digest>().is_err());
}

#[test]
fn every_frame_reads_back_and_half_frames_do_not() {
    let put = Change::Put { key: "user/1".to_owned(), record: r#"{"a":"b"}"#.to_owned() };
    let digest = Digest::of("a", "b");
    let changes = vec![put, Change::Delete { key: "group/\"2".to_owned() }];
    for frame in [
        Frame::Hello(frame::Hello { format: frame::FORMAT, epoch: 3, head: 9, mode: frame::Mode::Changes }),
        Frame::Hello(frame::Hello { format: frame::FORMAT, epoch: 3, head: 9, mode: frame::Mode::Snapshot }),
        Frame::Put { key: "user/1".to_owned(), record: "{}".to_owned() },
        Frame::End(frame::End { sequence: 4, records: 2, digest }),
        Frame::Commit(frame::Commit { sequence: 5, time: -1, digest, changes }),
        Frame::Commit(frame::Commit { sequence: 5, time: 1, digest, changes: Vec::new() }),
        Frame::Head(7),
    ] {
        assert_eq!(Frame::parse(&frame.to_json()).unwrap(), frame);
    }
    for bad in [
        "",
        "{}",
        "[]",
        r#"{"head":1,"put":"x"}"#,
        r#"{"put":"x"}"#,
        r#"{"record":{}}"#,
        r#"{"head":1,"head":2}"#,
        r#"{"head":-1}"#,
        r#"{"revision":1,"time":1,"digest":"x","changes":[]}"#,
        r#"{"revision":1,"time":1,"digest":"00000000000000000000000000000000","changes":[{"put":"x"}]}"#,
        r#"{"head":1} x"#,
        r#"{"new":1}"#,
    ] {
        assert!(Frame::parse(bad).is_err(), "{bad}");
    }
}
