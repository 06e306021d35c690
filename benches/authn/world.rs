//! One account, one user with an allowlist, one key, one role; and the requests that they send.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::hash::BuildHasher as _;
use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use portcullis::access::{
    AwsSignatures, Claim, CrossCheck, Denial, Entrance, ErrorProtocol, Facts, ForwardedHeader, Mode, Remembered, Replay, Request,
    ServiceSettings, Services, Sets, View, identify,
};
use portcullis::authn::scp::{self, Signed};
use portcullis::authn::session;
use portcullis::authn::sigv4::Profile;
use portcullis::authn::token::{Claims, Signer};
use portcullis::config::ReplayLimits;
use portcullis::gateway::replay::{Moment, ReplayMemory};
use portcullis::snapshot::Roster;
use portcullis::snapshot::wire::{Change, read_json, seal_owner};
use portcullis::types::{Network, PathProfile, Revision, SealingKey, Secret, SigningKey, Timestamp};
use serde_json::json;

const ACCOUNT: &str = "9b7653f6f47a42e38055934a0575a813";
const USER: &str = "efda56a968cd45b2873d9bf5fab58e95";
/// The key that signs.
const KEY: &str = "b754b12b39da4ce29a40c5e324650bd0";
const SECRET: &str = "c4150149-f7c6-46bc-9faa-d2b9d20e0899";
const WRONG: &str = "00000000-f7c6-46bc-9faa-d2b9d20e0899";
const ROLE: &str = "901e0000000000000000000000000001";
/// The key of a session of that role.
const SESSION: &str = "5e550000000000000000000000000001";
const TOKEN_KEY: &str = "70c0000000000000000000000000000a";
const HOST: &str = "iam.kr-west1.example.test";
const TARGET: &str = "/v1/groups?name=a%20b&page=0&size=20&sort=created_at%3Adesc";
const DEFINITION: &str = "kind: scp-iam:action-definition\nservice: iam\nservice_type: scp-iam\npaths:\n  /v1/groups:\n    get: {action: iam:ListGroups, access_level: List}\n";
/// 2026-11-20T22:29:45Z.
const NOW: Timestamp = Timestamp::from_milliseconds(1_795_213_785_000);

const LIMITS: ReplayLimits = ReplayLimits { claims_per_account_max: 4_000_000, claims_max: 4_000_000 };

/// What requests are judged by.
pub(crate) struct World {
    view: View,
    entrance: Entrance,
    sets: Sets,
    remembered: Remembered,
    left: Cell<u32>,
}

/// A request as it comes.
pub(crate) struct Call {
    headers: HeaderMap,
}

/// An id as if drawn at random.
pub(crate) fn key_id(number: u32) -> String {
    let half = |salt: u64| foldhash::quality::FixedState::with_seed(salt).hash_one(number);
    format!("{:016x}{:016x}", half(1), half(2))
}

fn signer() -> Signer {
    Signer::new(TOKEN_KEY.parse().expect("an id"), &Secret::new([7; 32])).expect("a signing key")
}

fn sealing() -> SealingKey {
    SealingKey::from_text(&"0a".repeat(32)).expect("a key")
}

impl World {
    /// Of a store where somebody holds the keys with the first numbers, beside [`KEY`].
    pub(crate) fn new(keys: u32) -> Self {
        let sealing = sealing();
        let key = |id: &str| {
            let owner = seal_owner(id.parse().expect("a key"), USER.parse().expect("a user"));
            let sealed = sealing.seal(&Secret::new(SECRET.as_bytes()), &owner, [1; 12]).expect("a sealed secret");
            json!({"kind": "access_key", "id": id, "user": USER, "secret": {"sealed": sealed}})
        };
        let networks: Vec<String> = (0..50).map(|number| format!("10.{number}.0.0/16")).collect();
        let records = [
            json!({"kind": "account", "id": ACCOUNT, "name": "first"}),
            json!({"kind": "user", "id": USER, "account": ACCOUNT, "name": "ada"}),
            key(KEY),
            json!({"kind": "key_security", "user": USER, "allowed_addresses": networks}),
            json!({"kind": "role", "id": ROLE, "account": ACCOUNT, "name": "deployer"}),
            json!({"kind": "token_key", "id": TOKEN_KEY, "public_key": signer().public_key().to_string()}),
            json!({"kind": "definition", "service": "iam", "document": DEFINITION}),
        ];
        let put = |record: serde_json::Value| {
            let record = record.to_string();
            Change::Put { key: read_json(&record).expect("a record").key().to_string(), record }
        };
        // In the order of their ids, as a feed sends them.
        let others: BTreeSet<String> = (0..keys).map(key_id).collect();
        let others = others.iter().map(|id| key(id));
        let changes: Vec<Change> = records.into_iter().chain(others).map(put).collect();
        let mut roster = Roster::new("e".parse().expect("an offering"), Arc::new(sealing));
        roster.apply(&changes);
        let snapshot = roster.snapshot(Revision::Store { epoch: 7, sequence: 3 });
        let settings = ServiceSettings {
            name: "iam".into(),
            hosts: vec![HOST.to_owned()],
            definitions: vec!["iam".to_owned()],
            mode: Mode::Enforce,
            path_profile: PathProfile::Segments,
            error_protocol: ErrorProtocol::Scp,
            public_routes: Vec::new(),
            body_bytes_max: 1_024,
            replay: Replay::All,
            sigv4: Some(AwsSignatures { service: "iam".into(), regions: None, profile: Profile::Generic, unsigned_payload: true }),
        };
        let services = Arc::new(Services::bind(&[settings], &snapshot));
        let entrance = Entrance {
            public_scheme: "https",
            proxy_protocol: None,
            trusted_proxies: std::iter::empty::<Network>().collect(),
            trusted_hops: None,
            forwarded_header: ForwardedHeader::XForwardedFor,
        };
        let view = View { snapshot: Arc::new(snapshot), services, issuers: Arc::default(), clock_skew_ms: 300_000, cross_check: None };
        Self { view, entrance, sets: Sets::default(), remembered: Remembered::new(1), left: Cell::new(0) }
    }

    /// Stages 4 to 7.
    pub(crate) fn identify(&self, call: &Call) -> Result<(), Denial> {
        self.identify_with(call, &self.remembered)
    }

    /// The same, to whoever wants to know what was found out.
    fn find_out<'v>(&'v self, call: &Call, remembered: &Remembered, facts: &mut Facts<'v>) -> Result<(), Denial> {
        let request = Request {
            entrance: &self.entrance,
            peer: Some(IpAddr::from([10, 33, 2, 3])),
            method: &Method::GET,
            host: HOST,
            target: TARGET,
            headers: &call.headers,
            body: None,
            is_begun: false,
            fetched: &[],
            sets: &self.sets,
            remembered,
            cross_check: CrossCheck { every: None, left: &self.left },
        };
        identify(&self.view, &request, NOW, facts).map(|user| _ = user.expect("no body is signed"))
    }

    /// The same, to a worker that remembers something else.
    pub(crate) fn identify_with(&self, call: &Call, remembered: &Remembered) -> Result<(), Denial> {
        let mut facts = Facts::default();
        self.find_out(call, remembered, &mut facts)
    }

    /// The same with the claim of the signature.
    /// Every signature is taken for a new one of the next millisecond: six hundred thousand are remembered.
    pub(crate) fn claim(&self, memory: &ReplayMemory, call: &Call, number: u64) -> Result<(), Denial> {
        let mut facts = Facts::default();
        self.find_out(call, &self.remembered, &mut facts)?;
        let (mut signature, caller) = facts.signature.zip(facts.caller).expect("a signature");
        let at = Timestamp::from_milliseconds(NOW.milliseconds() + i64::try_from(number).expect("a number"));
        signature.signed_at = at;
        signature.mac[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        let claim = Claim { account: caller.account(), signature };
        let moment = Moment { now: at, monotonic_ms: number, skew_ms: self.view.clock_skew_ms };
        memory.claim(&claim, memory.hash(b""), &LIMITS, moment).expect("room");
        Ok(())
    }

    /// What a gateway would do that refuses unknown keys at once.
    pub(crate) fn refuse_at_once(&self, call: &Call) -> bool {
        let mut signatures = scp::Signatures::default();
        for (name, value) in &call.headers {
            signatures.take(name.as_str(), value.as_bytes());
        }
        let scp::Presented::One(headers) = signatures.presented() else { return true };
        scp::Credential::parse(&headers).is_ok_and(|credential| self.view.snapshot.key(credential.access_key).is_none())
    }
}

/// The header of the AWS signature that is right for [`KEY`].
pub(crate) fn authorization(key: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential={key}/20261120/kr-west1/iam/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=861f88de7bc89436be2fdae1e8fc6150e9b73348cefafdaee8ebd1c05daecf92"
    )
}

impl Call {
    fn with(lines: &[(&'static str, &str)]) -> Self {
        let common = [
            ("host", HOST),
            ("user-agent", "python-requests/2.32.3"),
            ("accept-encoding", "gzip, deflate, br"),
            ("accept", "application/json"),
            ("connection", "keep-alive"),
            ("accept-language", "en-US"),
        ];
        let line =
            |(name, value): &(&'static str, &str)| (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a header's value"));
        Self { headers: common.iter().chain(lines).map(line).collect() }
    }

    /// Signed with the secret of the key that somebody holds.
    pub(crate) fn scp() -> Self {
        Self::scp_by(KEY, SECRET)
    }

    /// Signed in a session of the role, its token beside it.
    pub(crate) fn session() -> Self {
        let secret = session::SessionKey::new(&sealing()).secret(7, SESSION.parse().expect("a key"));
        Self::scp_by(SESSION, std::str::from_utf8(secret.expose()).expect("text")).beside_session_token()
    }

    /// The same with the token of the session beside the signature, whose-ever it is.
    pub(crate) fn beside_session_token(mut self) -> Self {
        let claims = session::Claims {
            subject: format!("srn:e::{ACCOUNT}:::scp-iam:role/{ROLE}"),
            role: ROLE.parse().expect("a role"),
            account: ACCOUNT.parse().expect("an account"),
            access_key: SESSION.parse().expect("a key"),
            source: format!("srn:e::{ACCOUNT}:::scp-iam:user/{USER}"),
            user: USER.parse().expect("a user"),
            name: "build-7".to_owned(),
            mfa: false,
            policy: None,
            id: "1d000000000000000000000000000001".parse().expect("an id"),
            issued_at: Timestamp::from_milliseconds(NOW.milliseconds() - 60_000),
            expires_at: Timestamp::from_milliseconds(NOW.milliseconds() + 3_600_000),
            epoch: 7,
            sequence: 3,
        };
        let token = claims.sign(&signer()).expect("a token");
        self.headers.insert("x-auth-token", HeaderValue::from_bytes(token.expose()).expect("a header's value"));
        self
    }

    /// Signed as this key with this secret.
    fn scp_by(key: &str, secret: &str) -> Self {
        let signed = Signed { method: "GET", scheme: "https", host: HOST, target: TARGET };
        let secret = SigningKey::new(&Secret::new(secret.as_bytes()));
        let signature = scp::sign(&secret, key.parse().expect("a key"), &signed, NOW);
        Self::with(&[
            ("scp-accesskey", key),
            ("scp-signature", &signature),
            ("scp-timestamp", &NOW.milliseconds().to_string()),
            ("scp-clienttype", "Openapi"),
            ("scp-accountid", ""),
        ])
    }

    /// Signed by nobody.
    pub(crate) fn wrong() -> Self {
        Self::scp_by(KEY, WRONG)
    }

    /// Puts another credential in the place of the one it has.
    pub(crate) fn present(&mut self, name: &HeaderName, value: HeaderValue) {
        self.headers.insert(name, value);
    }

    /// Signed by botocore 1.43 (`SigV4Auth`) with that secret.
    pub(crate) fn sigv4() -> Self {
        let authorization = authorization(KEY);
        Self::with(&[
            ("x-amz-content-sha256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            ("x-amz-date", "20261120T222945Z"),
            ("authorization", &authorization),
        ])
    }

    /// Of the token of that user.
    pub(crate) fn token() -> Self {
        let claims = Claims {
            subject: format!("srn:e::{ACCOUNT}:::scp-iam:user/{USER}"),
            user: USER.parse().expect("a user"),
            account: ACCOUNT.parse().expect("an account"),
            access_key: KEY.parse().ok(),
            id: "1d000000000000000000000000000001".parse().expect("an id"),
            issued_at: Timestamp::from_milliseconds(NOW.milliseconds() - 60_000),
            expires_at: Timestamp::from_milliseconds(NOW.milliseconds() + 3_600_000),
            epoch: 7,
            sequence: 3,
        };
        let token = signer().sign(&claims).expect("a token");
        Self::with(&[("x-auth-token", std::str::from_utf8(token.expose()).expect("text"))])
    }
}
