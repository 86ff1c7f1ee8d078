//! How many files, and so connections, the process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not gRPC connections: policies, connections to Redis, HTTP connections.
const RESERVED: usize = 256;

/// How the files that the process may open are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileLimit {
    /// gRPC connections that may be open at once.
    pub grpc_connections: usize,
    /// HTTP connections that may be open at once.
    pub http_connections: usize,
}

impl FileLimit {
    /// Raises the number of files that the process may open as far as it is allowed to, and divides it.
    pub fn raise() -> Self {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        let raised = Rlimit {
            current: maximum,
            maximum,
        };
        let files = match setrlimit(Resource::Nofile, raised) {
            Ok(()) => maximum,
            Err(_) => current,
        };
        // Without a limit there is none.
        Self::of(files.map_or(usize::MAX, |files| {
            usize::try_from(files).unwrap_or(usize::MAX)
        }))
    }

    /// Most are for gRPC: HTTP connections are from operators and from anyone who can connect.
    fn of(files: usize) -> Self {
        let reserved = RESERVED.min(files / 2);
        Self {
            grpc_connections: (files - reserved).max(1),
            http_connections: (reserved / 2).max(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_has_a_small_part_of_the_files() {
        for (files, grpc_connections, http_connections) in [
            (usize::MAX, usize::MAX - 256, 128),
            (1_024, 768, 128),
            (256, 128, 64),
            (0, 1, 1),
        ] {
            let expected = FileLimit {
                grpc_connections,
                http_connections,
            };
            assert_eq!(FileLimit::of(files), expected, "{files}");
        }
    }
}
