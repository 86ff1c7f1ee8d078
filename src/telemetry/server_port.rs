//! The ports of the server, as metrics and logs name them.

/// A port of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerPort {
    /// `--grpc`
    Grpc,
    /// `--http`
    Http,
}

impl ServerPort {
    pub(super) const ALL: [Self; 2] = [Self::Grpc, Self::Http];

    /// The label for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http",
        }
    }
}
