//! Counters for statsd, as envoyproxy/ratelimit sends them: its names, every ten seconds what was added since.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Metrics;
use crate::engine::Engine;
use crate::threads;

/// How long to wait for a connection, and for the server to take what is sent.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The most bytes of a datagram, so that it fits into a packet of any network.
const MAX_DATAGRAM_BYTES: usize = 1_432;

/// Where counters are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatsdConfig {
    /// `HOST:PORT`.
    pub server: String,
    /// The protocol.
    pub protocol: StatsdProtocol,
    /// Tags of all counters: names and values.
    pub tags: Vec<(String, String)>,
    /// Time between two transmissions.
    pub interval: Duration,
}

/// How counters are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatsdProtocol {
    /// Lines over TCP; tags are a part of the name, as `.__name=value`.
    Statsd,
    /// Datagrams over UDP, with tags as DogStatsD has them.
    DogStatsd,
}

/// The thread that sends; dropping it sends what is left, and ends it.
#[derive(Debug)]
pub struct StatsdSender {
    /// Taken when it ends.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StatsdSender {
    /// Starts to send what `metrics` counts.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub fn start(
        config: StatsdConfig,
        metrics: Arc<Metrics>,
        engine: Arc<Engine>,
    ) -> io::Result<Self> {
        let (stop, stopped) = mpsc::channel();
        let mut transmission = Transmission {
            config,
            sent: HashMap::new(),
            connection: None,
            is_reported: false,
        };
        let thread = threads::spawn("weir-statsd", move || {
            while is_due(&stopped, transmission.config.interval) {
                transmission.transmit(metrics.statsd_counters(&engine));
            }
            transmission.transmit(metrics.statsd_counters(&engine));
        })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for StatsdSender {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic has been printed already.
            let _ = thread.join();
        }
    }
}

/// Waits for the next transmission; false if there is none.
fn is_due(stopped: &Receiver<()>, interval: Duration) -> bool {
    matches!(
        stopped.recv_timeout(interval),
        Err(RecvTimeoutError::Timeout)
    )
}

struct Transmission {
    config: StatsdConfig,
    /// What the server has received of each counter.
    sent: HashMap<String, u64>,
    connection: Option<StatsdConnection>,
    /// Whether the log says that it fails.
    is_reported: bool,
}

enum StatsdConnection {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Transmission {
    /// Sends what was added to the counters. What could not be sent is added to the next transmission.
    fn transmit(&mut self, counters: Vec<(String, u64)>) {
        let added = |(name, count): &(String, u64)| {
            let sent = self.sent.get(name).copied().unwrap_or_default();
            // A rule that was away for some policies counts from 0 again.
            let added = count.checked_sub(sent).unwrap_or(*count);
            (added > 0).then(|| line(&self.config, name, added))
        };
        let lines: Vec<String> = counters.iter().filter_map(added).collect();
        match self.send(&lines) {
            Ok(()) => {
                self.sent = counters.into_iter().collect();
                self.is_reported = false;
            }
            Err(error) => {
                self.connection = None;
                if !self.is_reported {
                    let server = &self.config.server;
                    tracing::warn!(%error, server, "metrics cannot be sent to statsd, retrying");
                }
                self.is_reported = true;
            }
        }
    }

    fn send(&mut self, lines: &[String]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connect(&self.config)?,
        };
        match &connection {
            StatsdConnection::Tcp(stream) => (&*stream).write_all(lines.concat().as_bytes())?,
            StatsdConnection::Udp(socket) => {
                for datagram in datagrams(lines) {
                    socket.send(datagram.as_bytes())?;
                }
            }
        }
        self.connection = Some(connection);
        Ok(())
    }
}

fn connect(config: &StatsdConfig) -> io::Result<StatsdConnection> {
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in config.server.to_socket_addrs()? {
        match connect_to(address, config.protocol) {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn connect_to(address: SocketAddr, protocol: StatsdProtocol) -> io::Result<StatsdConnection> {
    match protocol {
        StatsdProtocol::Statsd => {
            let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
            stream.set_write_timeout(Some(TIMEOUT))?;
            Ok(StatsdConnection::Tcp(stream))
        }
        StatsdProtocol::DogStatsd => {
            let socket = match address {
                SocketAddr::V4(_) => UdpSocket::bind("0.0.0.0:0")?,
                SocketAddr::V6(_) => UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?,
            };
            socket.connect(address)?;
            Ok(StatsdConnection::Udp(socket))
        }
    }
}

/// A counter in the server's words.
fn line(config: &StatsdConfig, name: &str, added: u64) -> String {
    let mut tags = config.tags.clone();
    tags.sort();
    match config.protocol {
        StatsdProtocol::Statsd => {
            let tags = tags
                .iter()
                .map(|(name, value)| format!(".__{name}={value}"));
            format!("{name}{}:{added}|c\n", tags.collect::<String>())
        }
        StatsdProtocol::DogStatsd if tags.is_empty() => format!("{name}:{added}|c\n"),
        StatsdProtocol::DogStatsd => {
            let tags = tags.iter().map(|(name, value)| format!("{name}:{value}"));
            let tags = tags.collect::<Vec<_>>().join(",");
            format!("{name}:{added}|c|#{tags}\n")
        }
    }
}

/// Lines in datagrams that are as long as possible. A longer line has its own.
fn datagrams(lines: &[String]) -> Vec<String> {
    let mut datagrams: Vec<String> = Vec::new();
    for line in lines {
        match datagrams.last_mut() {
            Some(last) if last.len() + line.len() <= MAX_DATAGRAM_BYTES => last.push_str(line),
            _ => datagrams.push(line.clone()),
        }
    }
    datagrams
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    fn transmission(server: String, protocol: StatsdProtocol) -> Transmission {
        Transmission {
            config: StatsdConfig {
                server,
                protocol,
                tags: vec![
                    ("zone".to_owned(), "b".to_owned()),
                    ("env".to_owned(), "a".to_owned()),
                ],
                interval: Duration::from_secs(10),
            },
            sent: HashMap::new(),
            connection: None,
            is_reported: false,
        }
    }

    fn counters(counts: &[(&str, u64)]) -> Vec<(String, u64)> {
        let owned = |(name, count): &(&str, u64)| (name.to_string(), *count);
        counts.iter().map(owned).collect()
    }

    #[test]
    fn what_was_added_is_sent_over_tcp_with_tags_in_the_name() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = listener.local_addr().unwrap().to_string();
        let mut transmission = transmission(server, StatsdProtocol::Statsd);
        transmission.transmit(counters(&[("a.hits", 3), ("b", 0)]));
        transmission.transmit(counters(&[("a.hits", 3), ("b", 0)]));
        transmission.transmit(counters(&[("a.hits", 5), ("b", 1)]));
        drop(transmission);
        let (stream, _) = listener.accept().unwrap();
        let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
        assert_eq!(
            lines,
            [
                "a.hits.__env=a.__zone=b:3|c",
                "a.hits.__env=a.__zone=b:2|c",
                "b.__env=a.__zone=b:1|c",
            ]
        );
    }

    #[test]
    fn what_could_not_be_sent_is_sent_later() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let mut transmission = transmission(address.to_string(), StatsdProtocol::Statsd);
        transmission.transmit(counters(&[("a", 3)]));
        assert!(transmission.is_reported && transmission.sent.is_empty());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        transmission.config.server = listener.local_addr().unwrap().to_string();
        transmission.transmit(counters(&[("a", 4)]));
        drop(transmission);
        let (stream, _) = listener.accept().unwrap();
        let lines: Vec<String> = BufReader::new(stream).lines().map(Result::unwrap).collect();
        assert_eq!(lines, ["a.__env=a.__zone=b:4|c"]);
    }

    #[test]
    fn datagrams_have_tags_and_fit_into_a_packet() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let server = socket.local_addr().unwrap().to_string();
        let mut transmission = transmission(server, StatsdProtocol::DogStatsd);
        let names: Vec<String> = (0..100).map(|number| format!("counter{number}")).collect();
        let counts: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 7)).collect();
        transmission.transmit(counters(&counts));
        let mut lines = Vec::new();
        while lines.len() < counts.len() {
            let mut datagram = [0; 65_535];
            let len = socket.recv(&mut datagram).unwrap();
            assert!(len <= MAX_DATAGRAM_BYTES);
            let text = std::str::from_utf8(&datagram[..len]).unwrap();
            lines.extend(text.lines().map(str::to_owned));
        }
        assert_eq!(lines[0], "counter0:7|c|#env:a,zone:b");
        assert_eq!(lines.len(), 100);
    }
}
