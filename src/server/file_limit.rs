//! How many files, and so connections, the process may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that are not connections of clients: policies, connections to Redis, the admin server's.
const RESERVED: u64 = 256;

/// Raises the number of files that the process may open as far as it is allowed to, and returns how many
/// of them connections may be; `None` if there is no limit.
pub fn raise_file_limit() -> Option<usize> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    let files = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => maximum,
        Err(_) => current,
    };
    let connections = files?.saturating_sub(RESERVED).max(1);
    Some(usize::try_from(connections).unwrap_or(usize::MAX))
}
