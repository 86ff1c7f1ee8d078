//! A way to Redis that is as slow as a test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::Instant;
use weir::store::RedisAddress;

use super::server::RedisServer;

/// Ends with the runtime that it was started on.
pub(crate) struct Proxy {
    address: SocketAddr,
    delay_millis: Arc<AtomicU64>,
}

impl Proxy {
    pub(crate) async fn to(redis: &RedisServer) -> Self {
        let port = redis.port;
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

    pub(crate) fn address(&self) -> RedisAddress {
        format!("redis://{}", self.address).parse().unwrap()
    }

    /// From now on every answer comes so much later.
    pub(crate) fn delay(&self, millis: u64) {
        self.delay_millis.store(millis, Ordering::Relaxed);
    }
}

/// Each piece arrives so much later than it left; those behind it are on their way meanwhile.
async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay_millis: Arc<AtomicU64>) {
    let (sender, mut on_the_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    tokio::spawn(async move {
        while let Some((arrives, piece)) = on_the_way.recv().await {
            tokio::time::sleep_until(arrives).await;
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
