//! A proxy in front of a Redis server that knows only some commands, as other proxies do.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::RedisServer;

/// What happens at a command that the proxy does not know.
#[derive(Clone)]
pub enum UnknownCommand {
    /// The connection is closed, as twemproxy does.
    Close,
    /// It is answered with this error.
    Answer(String),
}

/// Ends with the runtime that it was started on.
pub struct StrictProxy {
    address: SocketAddr,
}

impl StrictProxy {
    /// Starts a proxy that knows these commands, in capitals.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(
        redis: &RedisServer,
        known: &'static [&'static str],
        unknown: UnknownCommand,
    ) -> Self {
        let port = redis.port();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await {
                    tokio::spawn(serve(client, server, known, unknown.clone()));
                }
            }
        });
        Self { address }
    }

    /// `redis://127.0.0.1:PORT`, of the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

async fn serve(
    client: TcpStream,
    server: TcpStream,
    known: &[&str],
    unknown: UnknownCommand,
) -> Option<()> {
    let (mut from_client, to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let to_client = Arc::new(Mutex::new(to_client));
    let answers = Arc::clone(&to_client);
    let copying = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
            let sent = answers.lock().await.write_all(&buffer[..length]).await;
            if sent.is_err() {
                return;
            }
        }
    });
    let mut received = Vec::new();
    while from_client.read_buf(&mut received).await.ok()? > 0 {
        while let Some((name, length)) = first_command(&received) {
            let command: Vec<u8> = received.drain(..length).collect();
            if known.contains(&name.as_str()) {
                to_server.write_all(&command).await.ok()?;
                continue;
            }
            let UnknownCommand::Answer(error) = &unknown else {
                copying.abort();
                return None;
            };
            let answer = format!("-{error}\r\n");
            let mut client = to_client.lock().await;
            client.write_all(answer.as_bytes()).await.ok()?;
        }
    }
    Some(())
}

/// The name of the first command, and its length in bytes, if all of it is there.
fn first_command(bytes: &[u8]) -> Option<(String, usize)> {
    let mut at = 0;
    let number = |at: &mut usize| {
        let end = *at + bytes[*at..].windows(2).position(|two| two == b"\r\n")?;
        let number = std::str::from_utf8(bytes.get(*at + 1..end)?).ok()?;
        *at = end + 2;
        number.parse::<usize>().ok()
    };
    let count = number(&mut at)?;
    let mut name = None;
    for _ in 0..count {
        let length = number(&mut at)?;
        let word = bytes.get(at..at + length)?;
        name.get_or_insert_with(|| String::from_utf8_lossy(word).to_ascii_uppercase());
        at += length + 2;
    }
    (at <= bytes.len()).then_some((name?, at))
}
