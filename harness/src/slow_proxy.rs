//! A TCP proxy in front of a Redis server that delays its answers.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::RedisServer;

/// Ends with the runtime that it was started on.
pub struct SlowProxy {
    address: SocketAddr,
    delay_millis: Arc<AtomicU64>,
}

impl SlowProxy {
    /// Starts a proxy, without a delay at first.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(redis: &RedisServer) -> Self {
        let port = redis.port();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let delay_millis = Arc::new(AtomicU64::new(0));
        let delay = Arc::clone(&delay_millis);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else {
                    continue;
                };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(copy(from_client, to_server, Arc::default()));
                tokio::spawn(copy(from_server, to_client, Arc::clone(&delay)));
            }
        });
        Self {
            address,
            delay_millis,
        }
    }

    /// `redis://127.0.0.1:PORT`, of the proxy.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Delays every answer from now on by this.
    pub fn delay(&self, delay: Duration) {
        let millis = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.delay_millis.store(millis, Ordering::Relaxed);
    }
}

/// Forwards each piece after the delay; the pieces behind it are under way at the same time.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay_millis: Arc<AtomicU64>) {
    let (sender, mut pieces) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((due, piece)) = pieces.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
    });
    let mut buffer = vec![0; 1 << 16];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        let delay = Duration::from_millis(delay_millis.load(Ordering::Relaxed));
        let piece = (Instant::now() + delay, buffer[..read].to_vec());
        if sender.send(piece).is_err() {
            return;
        }
    }
}
