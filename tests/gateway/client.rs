//! A client that hides nothing: requests are bytes, answers are read one at a time and say how they ended.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use portcullis::authn::scp::{self, Signed};
use portcullis::types::{Secret, SigningKey, Timestamp};

/// When the tests' gateways live, in milliseconds: shortly after the measured vectors were signed.
pub(crate) const NOW_MS: i64 = 1_795_213_785_000;
/// Nothing in these tests takes so long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A user's access key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Who {
    pub(crate) key: &'static str,
    pub(crate) secret: &'static str,
}

impl Who {
    /// The four lines that sign a request: what is taken once only, for another millisecond each time.
    pub(crate) fn sign(&self, method: &str, host: &str, target: &str) -> String {
        static SIGNED: AtomicI64 = AtomicI64::new(0);
        let earlier_ms = if matches!(method, "POST" | "PATCH") { SIGNED.fetch_add(1, Relaxed) % 200_000 } else { 0 };
        self.sign_at(method, host, target, NOW_MS - earlier_ms)
    }

    pub(crate) fn sign_at(&self, method: &str, host: &str, target: &str, at_ms: i64) -> String {
        let signing_key = SigningKey::new(&Secret::new(self.secret.as_bytes()));
        let signed = Signed { method, scheme: "http", host, target };
        let signature = scp::sign(&signing_key, self.key.parse().unwrap(), &signed, Timestamp::from_milliseconds(at_ms));
        self.lines(at_ms, &signature)
    }

    /// The four lines around a signature made elsewhere.
    pub(crate) fn lines(&self, at_ms: i64, signature: &str) -> String {
        let key = self.key;
        format!("Scp-Accesskey: {key}\r\nScp-Timestamp: {at_ms}\r\nScp-ClientType: Openapi\r\nScp-Signature: {signature}\r\n")
    }
}

/// A request in the making.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: String,
    host: String,
    target: String,
    lines: String,
    body: Vec<u8>,
}

impl Ask {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        Self { method: method.into(), host: "iam.test".into(), target: target.into(), lines: String::new(), body: Vec::new() }
    }

    pub(crate) fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    /// Adds a header line.
    pub(crate) fn line(mut self, line: &str) -> Self {
        self.lines.push_str(line);
        self.lines.push_str("\r\n");
        self
    }

    /// Adds a body and its length.
    pub(crate) fn body(self, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref().to_vec();
        let mut with = self.line(&format!("Content-Length: {}", body.len()));
        with.body = body;
        with
    }

    /// The request, unsigned.
    pub(crate) fn plain(&self) -> Vec<u8> {
        self.with("")
    }

    /// The request, signed.
    pub(crate) fn by(&self, who: &Who) -> Vec<u8> {
        self.with(&who.sign(&self.method, &self.host, &self.target))
    }

    /// The request with these header lines more.
    pub(crate) fn with(&self, signature: &str) -> Vec<u8> {
        let Self { method, host, target, lines, body } = self;
        let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n{signature}{lines}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        bytes
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The statuses of the interim answers before it.
    pub(crate) interim: Vec<u16>,
}

impl Answer {
    /// The values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that stands at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() < 2, "{name} stands twice: {self:?}");
        values.first().copied()
    }

    /// Status and reason, for comparing.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        (self.status, self.header("portcullis-reason").unwrap_or_default())
    }

    pub(crate) fn request_id(&self) -> &str {
        self.header("portcullis-request-id").unwrap_or_else(|| panic!("no request id: {self:?}"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// How waiting for an answer ended when no whole one came.
#[derive(Debug, Clone)]
pub(crate) enum Broken {
    /// The connection was closed before the first byte.
    Closed,
    /// The connection was closed inside an answer.
    Cut(Vec<u8>),
    /// Nothing happened for too long.
    Silent,
}

/// A connection to the gateway.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::over(TcpStream::connect(address).unwrap())
    }

    fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self { stream, buffer: Vec::new() };
        client.patience(PATIENCE);
        client
    }

    /// A connection from another address of this machine.
    pub(crate) fn open_from(source: &str, address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::new(source.parse().unwrap(), 0).into()).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    /// A connection that takes little at a time: the kernel keeps few bytes that nobody has read.
    pub(crate) fn open_narrow(address: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(64 * 1024).unwrap();
        socket.connect(&address.into()).unwrap();
        Self::over(socket.into())
    }

    /// How long to wait for bytes.
    pub(crate) fn patience(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
    }

    /// Sends bytes. The gateway may have closed by then; what it answered can still be read.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        let _ = self.stream.write_all(bytes.as_ref());
        self
    }

    /// Sends a request and reads its answer.
    pub(crate) fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Answer {
        self.send(bytes).answer()
    }

    /// Breaks the connection: the gateway sees a reset.
    pub(crate) fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).unwrap();
    }

    pub(crate) fn half_close(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// The next whole answer.
    pub(crate) fn answer(&mut self) -> Answer {
        self.outcome("GET").unwrap_or_else(|broken| panic!("no answer: {broken:?}"))
    }

    /// The next whole answer to a request of this method, or why there is none.
    pub(crate) fn outcome(&mut self, method: &str) -> Result<Answer, Broken> {
        let mut interim = Vec::new();
        loop {
            let mut answer = self.head()?;
            if (100..200).contains(&answer.status) && answer.status != 101 {
                interim.push(answer.status);
                continue;
            }
            answer.interim = interim;
            let bodiless = method == "HEAD" || matches!(answer.status, 101 | 204 | 304);
            let length = answer.header("content-length").map(|length| length.parse::<usize>().unwrap());
            let chunked = answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
            assert!(!(chunked && length.is_some()), "two framings: {answer:?}");
            answer.body = match length {
                _ if bodiless => Vec::new(),
                _ if chunked => self.chunks()?,
                Some(length) => self.take(length)?,
                None => self.rest()?,
            };
            return Ok(answer);
        }
    }

    /// The head of an answer alone; its body stays to be read.
    pub(crate) fn head(&mut self) -> Result<Answer, Broken> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n\r\n") {
                break at;
            }
            self.more()?;
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let first = lines.next().unwrap();
        let status =
            first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 ")).and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("not the head of an answer: {head:?}"));
        let header = |line: &str| line.split_once(':').map(|(name, value)| (name.to_owned(), value.trim().to_owned())).unwrap();
        Ok(Answer { status, headers: lines.map(header).collect(), body: Vec::new(), interim: Vec::new() })
    }

    /// One chunk of a chunked body; empty at the end.
    pub(crate) fn chunk(&mut self) -> Result<Vec<u8>, Broken> {
        let end = loop {
            if let Some(at) = find(&self.buffer, b"\r\n") {
                break at;
            }
            self.more()?;
        };
        let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let size = usize::from_str_radix(std::str::from_utf8(&line).unwrap().trim(), 16).unwrap();
        let chunk = self.take(size)?;
        assert_eq!(self.take(2)?, b"\r\n");
        Ok(chunk)
    }

    fn chunks(&mut self) -> Result<Vec<u8>, Broken> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    /// Exactly so many bytes.
    pub(crate) fn take(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        while self.buffer.len() < length {
            self.more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// Everything until the connection ends in good order.
    fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            match self.more() {
                Ok(()) => {}
                Err(Broken::Closed) => return Ok(Vec::new()),
                Err(Broken::Cut(bytes)) => {
                    self.buffer.clear();
                    return Ok(bytes);
                }
                Err(Broken::Silent) => return Err(Broken::Silent),
            }
        }
    }

    /// Whether the gateway closes the connection, within the patience. Bytes that still come are skipped.
    pub(crate) fn is_closed(&mut self) -> bool {
        self.buffer.clear();
        loop {
            match self.more() {
                Ok(()) => self.buffer.clear(),
                Err(Broken::Closed | Broken::Cut(_)) => return true,
                Err(Broken::Silent) => return false,
            }
        }
    }

    fn more(&mut self) -> Result<(), Broken> {
        let mut bytes = [0; 64 * 1024];
        let ended = |buffer: &[u8]| if buffer.is_empty() { Broken::Closed } else { Broken::Cut(buffer.to_vec()) };
        match self.stream.read(&mut bytes) {
            Ok(0) => Err(ended(&self.buffer)),
            Ok(count) => {
                self.buffer.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Err(Broken::Silent),
            Err(_) => Err(ended(&self.buffer)),
        }
    }
}

/// Where `part` stands in `bytes`.
pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
