//! Tags and attributes of resources, asked of the backends that know them (contracts C10).
//!
//! One answer serves everybody who asks for it at the same time and for a short time after, in all workers. What was asked before a
//! write through this gateway ended is never used after it; of writes by other ways a gateway learns when the time is over.

use std::hash::{BuildHasher as _, RandomState};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper::body::{Body as _, Incoming};
use moka::Expiry;
use moka::future::Cache;

use super::body::RequestBody;
use super::client::Client;
use super::credential::Content;
use super::identity;
use super::state::{Bound, BoundUpstream};
use crate::access::attributes::{Found, TOLD_BYTES_MAX, Told};
use crate::access::{Fetched, Wanted};
use crate::types::Timestamp;

/// Most bytes of all answers that are kept.
const KEPT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// What an answer costs beside its bytes: a tree is larger than its text.
const OVERHEAD: usize = 512;
/// How long a failure counts for others who ask for the same, so that a backend that is down is not asked by everybody.
const FAILURE_COUNTS_FOR: Duration = Duration::from_millis(250);
/// Into how many parts the resources fall that writes are counted for.
const STRIPES: usize = 4096;
/// How many resources above the one that is written count as written too.
const ANCESTORS_MAX: usize = 8;
/// Most questions of one worker that are on their way at once.
const ASKED_MAX: usize = 256;

/// The answers of all backends.
pub(super) struct AttributeCache {
    answers: Cache<Question, Answer>,
    /// How many writes have ended, by the hash of what was written.
    writes: Box<[AtomicU64]>,
    hasher: RandomState,
}

/// SECURITY: everything that the answer may depend on. The number of writes makes an answer from before a write another question
/// (test `the_value_after_a_write_is_seen_by_the_next_request`).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Question {
    authority: Arc<str>,
    account: Box<str>,
    target: Box<str>,
    writes: u64,
}

#[derive(Debug, Clone)]
struct Answer {
    /// `None`: there was none that can be used.
    body: Option<Arc<Told>>,
    bytes: usize,
    lasts: Duration,
}

struct Lasting;

impl Expiry<Question, Answer> for Lasting {
    fn expire_after_create(&self, _question: &Question, answer: &Answer, _now: Instant) -> Option<Duration> {
        Some(answer.lasts)
    }
}

impl Default for AttributeCache {
    fn default() -> Self {
        let weigh = |_: &Question, answer: &Answer| u32::try_from(answer.bytes * 4 + OVERHEAD).unwrap_or(u32::MAX);
        Self {
            answers: Cache::builder().max_capacity(KEPT_BYTES_MAX).weigher(weigh).expire_after(Lasting).build(),
            writes: (0..STRIPES).map(|_| AtomicU64::new(0)).collect(),
            hasher: RandomState::new(),
        }
    }
}

impl AttributeCache {
    /// A write of these resources has ended, or may have.
    pub(super) fn written(&self, srns: &[String]) {
        for srn in srns {
            let ancestors = srn.char_indices().filter(|(_, character)| *character == '/').filter_map(|(end, _)| srn.get(..end));
            // Behind the first `/` the id begins: what comes before is no resource.
            for name in ancestors.skip(1).take(ANCESTORS_MAX).chain([srn.as_str()]) {
                if let Some(writes) = self.stripe(name) {
                    writes.fetch_add(1, Ordering::AcqRel);
                }
            }
        }
    }

    fn writes(&self, srn: &str) -> u64 {
        self.stripe(srn).map_or(0, |writes| writes.load(Ordering::Acquire))
    }

    fn stripe(&self, srn: &str) -> Option<&AtomicU64> {
        let hash = usize::try_from(self.hasher.hash_one(srn) % STRIPES as u64).unwrap_or(0);
        self.writes.get(hash)
    }
}

/// Finds out everything that is wanted, all at the same time.
pub(super) async fn fetch(client: &Rc<Client>, bound: &Rc<Bound>, wanted: &[Wanted], now: Timestamp) -> Vec<Fetched> {
    let mut asking = tokio::task::JoinSet::new();
    for one in wanted {
        let (client, bound, one) = (Rc::clone(client), Rc::clone(bound), one.clone());
        asking.spawn_local(async move {
            let answer = ask(&client, &bound, &one, now).await;
            one.take(answer.as_deref())
        });
    }
    let mut found = Vec::with_capacity(wanted.len());
    while let Some(fetched) = asking.join_next().await {
        found.extend(fetched.ok());
    }
    // One that did not come back is known to be unavailable, not still to be fetched.
    let lost: Vec<Fetched> =
        wanted.iter().map(|one| one.take(None)).filter(|one| !found.iter().any(|found| is_about_same(found, one))).collect();
    found.extend(lost);
    found
}

fn is_about_same(found: &Fetched, other: &Fetched) -> bool {
    let name = |found: &Found| match found {
        Found::Tags(_) => None,
        Found::Attribute(name, _) => Some(name.clone()),
    };
    found.srn == other.srn && found.found.iter().map(name).eq(other.found.iter().map(name))
}

async fn ask(client: &Rc<Client>, bound: &Rc<Bound>, wanted: &Wanted, now: Timestamp) -> Option<Arc<Told>> {
    let service = bound.serving(&wanted.service_type)?;
    let upstream = service.upstream.as_ref()?;
    let cache = client.worker.attributes();
    let question = Question {
        authority: Arc::clone(&upstream.settings.authority),
        account: wanted.account.as_str().into(),
        target: wanted.target.as_str().into(),
        writes: cache.writes(&wanted.srn),
    };
    let counters = client.worker.counters();
    let asked = async {
        counters.attributes_asked.add(1);
        let timeout = upstream.settings.attribute_timeout;
        let answer = match client.worker.ask(ASKED_MAX) {
            Some(_asking) => tokio::time::timeout(timeout, get(client, upstream, wanted, now)).await.ok().flatten(),
            None => None,
        };
        match answer {
            Some((body, bytes)) => Answer { body: Some(Arc::new(body)), bytes, lasts: upstream.settings.attribute_ttl },
            None => {
                counters.attributes_failed.add(1);
                tracing::debug!(upstream = %upstream.settings.authority, target = %wanted.target, "an attribute could not be obtained");
                Answer { body: None, bytes: 0, lasts: FAILURE_COUNTS_FOR.min(upstream.settings.attribute_ttl) }
            }
        }
    };
    cache.answers.get_with(question, asked).await.body
}

/// Asks a backend. Any answer but a complete JSON text with status 200 is none; redirects are not followed.
async fn get(client: &Rc<Client>, upstream: &BoundUpstream, wanted: &Wanted, now: Timestamp) -> Option<(Told, usize)> {
    let deadline = client.worker.idle_deadline();
    let mut request = Request::new(RequestBody::none(Rc::clone(&deadline)));
    *request.method_mut() = Method::GET;
    *request.uri_mut() = wanted.target.parse::<Uri>().ok()?;
    let headers = request.headers_mut();
    headers.insert(header::HOST, upstream.host.clone());
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    identity::add_own(&mut request, &wanted.account, &upstream.settings.identity_key, client, now);
    if let Some(credential) = &upstream.settings.credential {
        let (mut parts, body) = request.into_parts();
        credential.show(&mut parts, &Content::Nothing, now)?;
        request = Request::from_parts(parts, body);
    }
    let (response, lease) = upstream.pool.send(request, upstream.settings.connect_timeout, &deadline).await.ok()?;
    let encoded = response.headers().contains_key(header::CONTENT_ENCODING);
    if response.status() != StatusCode::OK || encoded {
        return None;
    }
    let body = whole(response.into_body()).await?;
    upstream.pool.give_back(lease);
    Some((Told::read(&body)?, body.len()))
}

/// All of an answer, if it is not too large.
async fn whole(mut body: Incoming) -> Option<Vec<u8>> {
    let mut gathered = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame.ok()?.into_data() {
            gathered.extend_from_slice(&data);
        }
        if gathered.len() > TOLD_BYTES_MAX {
            return None;
        }
    }
    Some(gathered)
}
