//! The health of a server, as gRPC defines it.

use std::time::Duration;

use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::{ClientError, ServerAddr, TlsOptions, call_error, open_channel};

/// Checks the health of the whole server, as a proxy does. `timeout` bounds connecting, and the call.
///
/// # Errors
/// [`ClientError::NotServing`] if it reports another status than SERVING; otherwise as
/// [`Client::connect_with`](super::Client::connect_with) and
/// [`Client::should_rate_limit`](super::Client::should_rate_limit).
pub async fn check_health(
    server: &ServerAddr,
    tls: &TlsOptions,
    timeout: Duration,
) -> Result<(), ClientError> {
    let channel = open_channel(server, tls, timeout).await?;
    let request = HealthCheckRequest::default();
    let response = HealthClient::new(channel).check(request).await;
    let response = response.map_err(|status| call_error(server, &status))?;
    match response.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(ClientError::NotServing {
            server: server.clone(),
            status: status.as_str_name(),
        }),
    }
}
