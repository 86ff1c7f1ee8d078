//! A client that sends arbitrary bytes, which an ordinary HTTP client refuses to send.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use weir_harness::PATIENCE;

/// What every HTTP answer has, limited or not.
const ORDINARY: [&str; 5] = [
    "content-length",
    "content-type",
    "date",
    "server",
    "x-envoy-upstream-service-time",
];

#[derive(Clone)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    is_head: bool,
}

impl Request {
    /// `GET /path`, `POST /path`, …
    pub(crate) fn new(endpoint: &str) -> Self {
        Self {
            bytes: format!("{endpoint} HTTP/1.1\r\nhost: api\r\n").into_bytes(),
            is_head: endpoint.starts_with("HEAD "),
        }
    }

    /// Adds a header unchanged.
    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(b": ");
        self.bytes.extend_from_slice(value.as_ref());
        self.bytes.extend_from_slice(b"\r\n");
        self
    }

    /// Adds `Authorization: Bearer KEY`.
    pub(crate) fn key(self, key: &str) -> Self {
        self.header("Authorization", format!("Bearer {key}"))
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case; values of one name joined by a comma.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// The headers that not every answer has, in the order of their names.
    pub(crate) fn special(&self) -> Vec<&str> {
        self.headers
            .keys()
            .map(String::as_str)
            .filter(|name| !ORDINARY.contains(name))
            .collect()
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self.text(name)
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number in {self:?}"))
    }

    /// The body, which says that it is JSON and is.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.text("content-type"), "application/json");
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Checks that it is what an `http` block of a document shows: the status, the headers but for those whose values
    /// vary, and the body.
    pub(crate) fn assert_shown(&self, block: &str, varying: &[&str]) {
        let (head, body) = block.split_once("\n\n").expect("a head and a body");
        let (status, headers) = head.split_once('\n').expect("headers");
        let own = format!("HTTP/1.1 {} ", self.status);
        assert!(status.starts_with(&own), "{status} for {self:?}");
        for line in headers.lines() {
            let (name, value) = line.split_once(": ").expect("a header");
            if !varying.contains(&name) {
                assert_eq!(self.text(name), value, "{name}");
            }
        }
        assert_eq!(String::from_utf8_lossy(&self.body), body.trim_end());
    }
}

/// The statuses of answers, in order.
pub(crate) fn statuses(answers: &[Answer]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// One connection, kept open from request to request for as long as the server keeps it.
pub(crate) struct Client {
    address: SocketAddr,
    connection: BufReader<TcpStream>,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server takes a connection");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("a timeout can be set");
        stream.set_nodelay(true).expect("Nagle can be turned off");
        Self {
            address,
            connection: BufReader::new(stream),
        }
    }

    pub(crate) fn send(&mut self, request: &Request) -> Answer {
        self.begin(request);
        let answer = self.receive(request.is_head);
        if answer
            .headers
            .get("connection")
            .is_some_and(|c| c == "close")
        {
            *self = Self::connect(self.address);
        }
        answer
    }

    /// Sends it, and does not wait for the answer.
    pub(crate) fn begin(&mut self, request: &Request) {
        let bytes = [&request.bytes[..], b"\r\n"].concat();
        self.connection.get_mut().write_all(&bytes).expect("sent");
    }

    /// Sends the request `times` times.
    pub(crate) fn repeat(&mut self, request: &Request, times: usize) -> Vec<Answer> {
        (0..times).map(|_| self.send(request)).collect()
    }

    /// Sends the request until it is refused, at most `most` times. The refusal is not among the answers.
    pub(crate) fn until_refused(
        &mut self,
        request: &Request,
        most: usize,
    ) -> (Vec<Answer>, Answer) {
        let mut passed = Vec::new();
        while passed.len() <= most {
            let answer = self.send(request);
            match answer.status {
                200 => passed.push(answer),
                429 => return (passed, answer),
                _ => panic!("neither passed nor refused: {answer:?}"),
            }
        }
        panic!("passed more than {most} times");
    }

    fn receive(&mut self, is_head: bool) -> Answer {
        let status_line = self.line();
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("no status in {status_line:?}"));
        let mut headers = BTreeMap::<String, String>::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            headers
                .entry(name.to_ascii_lowercase())
                .and_modify(|before| *before = format!("{before},{}", value.trim()))
                .or_insert_with(|| value.trim().to_owned());
        }
        let body = if is_head {
            Vec::new()
        } else if headers.contains_key("transfer-encoding") {
            self.chunks()
        } else {
            let length = headers
                .get("content-length")
                .map_or(0, |length| length.parse().expect("a length"));
            self.bytes(length)
        };
        Answer {
            status,
            headers,
            body,
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line(), 16).expect("a chunk's length");
            body.extend(self.bytes(length));
            self.line();
            if length == 0 {
                return body;
            }
        }
    }

    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.connection
            .read_until(b'\n', &mut line)
            .expect("received");
        assert!(line.ends_with(b"\r\n"), "the server hung up: {line:?}");
        String::from_utf8_lossy(&line[..line.len() - 2]).into_owned()
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.connection.read_exact(&mut bytes).expect("received");
        bytes
    }
}
