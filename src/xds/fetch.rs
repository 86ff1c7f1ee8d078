//! What a configuration server sends, once.

use std::time::Duration;

use tokio::time::timeout;

use super::config::XdsConfig;
use super::resource::{self, PolicyText, ResourceError};
use super::stream::{self, StreamError};

/// A configuration could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There is no stream, or it has ended.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The server has sent something else.
    #[error(transparent)]
    Resource(#[from] ResourceError),
    /// The server sends nothing to nodes that it does not know.
    #[error(
        "the server has sent no configuration for the node {node_id:?} within {} s; check the node ID", timeout.as_secs()
    )]
    Silence {
        /// The node.
        node_id: String,
        /// How long was waited.
        timeout: Duration,
    },
}

/// The first configuration that the server sends.
///
/// # Errors
/// When none comes in time.
pub async fn fetch(config: &XdsConfig, patience: Duration) -> Result<Vec<PolicyText>, FetchError> {
    let first = async {
        let mut stream = stream::open(config).await?;
        let response = stream.responses.message().await;
        let response = response.map_err(|status| stream::error(status, config))?;
        response.ok_or(FetchError::Stream(StreamError::Ended))
    };
    let response = timeout(patience, first)
        .await
        .map_err(|_| FetchError::Silence {
            node_id: config.node_id.clone(),
            timeout: patience,
        })??;
    Ok(resource::read(&response.resources)?)
}
