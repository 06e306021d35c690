//! Backends that want a credential of the gateway's own: what they get instead of the client's.

use portcullis::authn::sigv4::{Credential, Key, Payload, Profile, Signed};
use portcullis::types::Secret;

use super::aws::{ALLOW, Aws};
use super::backend::{Backend, Seen};
use super::client::Ask;
use super::harness::{ADMIN, Setup, World};

const SECRET: &str = "a-secret-of-the-backend-51c0";
const ACCESS_KEY: &str = "AKIABACKEND";

fn signing(more: &str) -> (Backend, World) {
    let backend = Backend::start();
    let credential =
        format!("credential: {{kind: sigv4, access_key: {ACCESS_KEY}, secret: {{file: backend.secret}}, region: kr-west1}}{more}");
    let world = Setup::new()
        .set("service", "sigv4: {service: iam, profile: s3}")
        .set("upstream", credential)
        .file("backend.secret", &format!("{SECRET}\n"))
        .start(&backend);
    (backend, world)
}

/// Whether what the backend got is signed with its own key; what of the body is signed.
fn verified(seen: &Seen) -> Payload {
    let headers = seen.headers().into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
    let authorization = seen.header("authorization").unwrap();
    let credential = Credential::from_header(authorization.as_bytes(), &headers, Profile::S3).unwrap();
    assert_eq!((credential.scope.access_key(), credential.scope.region(), credential.scope.service()), (ACCESS_KEY, "kr-west1", "s3"));
    let (path, query) = seen.target().split_once('?').unwrap_or((seen.target(), ""));
    let signed = Signed { method: seen.method(), path, query };
    let key = Key::new(&Secret::new(SECRET.as_bytes()));
    assert_eq!(credential.verify(&key.derive(&credential.scope), &signed, &seen.body), Ok(true), "{}", seen.head);
    assert!(!format!("{seen:?}").contains(SECRET));
    credential.payload
}

#[test]
fn a_backend_gets_the_gateways_signature_instead_of_the_clients() {
    for (more, host) in [("", None), ("\n      preserve_host: true", Some("iam.test"))] {
        let (backend, world) = signing(more);
        let s3 = |method, path: &str| Aws { once_encoded: true, ..Aws::new(method, path) };
        let hash = |body: &[u8]| {
            Payload::Sha256(super::aws::sha256(body).as_bytes().as_chunks().0.iter().map(digit).collect::<Vec<_>>().try_into().unwrap())
        };
        let unsigned = s3("PUT", "/v1/groups/g1").header("x-amz-content-sha256", "UNSIGNED-PAYLOAD").header("content-length", "4");
        for (bytes, expected) in [
            (s3("GET", "/v1/groups/g%20%281%29").query("b=2&a=%2F").signed(), hash(b"")),
            (Ask::get("/v1/groups/g%20(1)?a=/&b=%2B").by(&ADMIN), hash(b"")),
            (s3("GET", "/v1/groups/g1").presigned("60"), hash(b"")),
            (s3("PUT", "/v1/groups/g1").body(b"body").header("x-amz-meta-a", "b").signed(), hash(b"body")),
            (Aws { body: b"body".into(), ..unsigned }.signed(), Payload::Unsigned),
            (Ask::get("/v1/groups?size=20&x").by(&ADMIN), hash(b"")),
            (Ask::new("PUT", "/v1/groups/g1").body("body").by(&ADMIN), Payload::Unsigned),
            // What a client says with these names is not what the backend hears.
            (Ask::get("/v1/groups").line("x_amz_acl: public").line("x-amz-security-token: x").line("X_Amz_Date: y").by(&ADMIN), hash(b"")),
        ] {
            let answer = world.ask(bytes);
            assert_eq!(answer.verdict(), ALLOW, "{}", answer.text());
            let seen = backend.last();
            assert_eq!(verified(&seen), expected, "{}", seen.head);
            assert_eq!(seen.header("host"), Some(host.map_or_else(|| backend.address().to_string(), str::to_owned)));
            assert!(!seen.head.contains(ADMIN.key) || seen.all("portcullis-assertion").concat().contains(ADMIN.key));
            assert!(!seen.head.contains("x_amz") && !seen.head.contains("security-token"), "{}", seen.head);
        }
    }
}

fn digit(pair: &[u8; 2]) -> u8 {
    u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()
}

#[test]
fn a_backend_gets_the_gateways_header_and_no_clients_in_any_spelling() {
    let backend = Backend::start();
    let world = Setup::new()
        .set("upstream", "credential: {kind: header, name: X-Api-Key, value: {file: backend.key}}")
        .file("backend.key", "Token of-the-gateway-7\n")
        .start(&backend);
    for line in ["X-Api-Key: mine", "x_api_key: mine", "X.Api.Key: mine", "Connection: X-Api-Key", "Accept: */*"] {
        let answer = world.ask(Ask::get("/v1/groups").line(line).by(&ADMIN));
        assert_eq!(answer.verdict(), ALLOW);
        let keys: Vec<_> = backend.last().headers().into_iter().filter(|(name, _)| name.contains("key") && name.starts_with('x')).collect();
        assert_eq!(keys, [("x-api-key".to_owned(), "Token of-the-gateway-7".to_owned())], "{line}");
    }
    // Public routes lead to the same backend.
    assert_eq!(world.ask(Ask::get("/v1/versions").plain()).status, 200);
    assert_eq!(backend.last().header("x-api-key").as_deref(), Some("Token of-the-gateway-7"));
}
