//! The list of live streams, a page at a time.

use aws_sdk_ivs::error::ProvideErrorMetadata as _;

use super::{TOO_MANY_CLIENTS, Upstream, reply};

/// Streams on a page: the most the API gives.
const PAGE: i32 = 100;

/// A page of live streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LivePage {
    /// The ARNs of their channels.
    pub channels: Vec<String>,
    /// For the next page; none: there is no more.
    pub next: Option<String>,
}

impl Upstream {
    /// Reads a page of the account's live streams. None: it could not be read this time.
    ///
    /// # Errors
    /// The account may not read the list, and why.
    pub async fn live_streams(
        &self,
        account: &str,
        region: &str,
        token: Option<String>,
    ) -> Result<Option<LivePage>, String> {
        let cell = self.cell(account, region).ok_or(TOO_MANY_CLIENTS)?;
        let connected = self.connected(&cell, account, region).await;
        let request = connected.client.list_streams().max_results(PAGE);
        match request.set_next_token(token).send().await {
            Ok(list) => {
                let streams = list.streams().iter();
                Ok(Some(LivePage {
                    channels: streams
                        .filter_map(|stream| stream.channel_arn().map(str::to_owned))
                        .collect(),
                    next: list.next_token().map(str::to_owned),
                }))
            }
            Err(error) => {
                let status = error
                    .raw_response()
                    .map(|response| response.status().as_u16());
                let code = error.code().unwrap_or("refused");
                if matches!(status, Some(401 | 403 | 404)) {
                    return Err(format!("{code}: {}", reply::causes(&error)));
                }
                tracing::debug!(?status, error = %reply::causes(&error), "ListStreams failed");
                Ok(None)
            }
        }
    }
}
