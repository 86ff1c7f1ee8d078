//! One address for several instances: what a Service of Kubernetes with a cluster IP is.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// Gives each new connection to the next of its endpoints. Connections that are open stay where they are.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    endpoints: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Service {
    pub(crate) fn before(endpoints: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let endpoints = Arc::new(Mutex::new(endpoints));
        let own = Arc::clone(&endpoints);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let endpoint = {
                    let mut endpoints = own.lock().expect("no panic");
                    endpoints.rotate_left(1);
                    endpoints[0]
                };
                // An instance that has gone is a connection that is refused.
                if let Ok(server) = TcpStream::connect(endpoint) {
                    join(client, server);
                }
            }
        });
        Self { address, endpoints }
    }

    /// What a controller does when instances have become ready, or end.
    pub(crate) fn set(&self, endpoints: Vec<SocketAddr>) {
        *self.endpoints.lock().expect("no panic") = endpoints;
    }
}

/// Copies between two connections until either ends.
fn join(client: TcpStream, server: TcpStream) {
    let ends = |stream: &TcpStream| stream.try_clone().expect("a second handle");
    for (mut from, mut to) in [(ends(&client), ends(&server)), (server, client)] {
        let _ = from.set_nodelay(true);
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Both);
        });
    }
}
