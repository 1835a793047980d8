//! What the API said of the last call of a channel that failed.

/// The last call of a channel that failed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
pub struct LastError {
    /// The API's name for it, where it gave one.
    #[schema(required = true)]
    pub code: Option<String>,
    /// The HTTP status, where there was a response.
    #[schema(required = true)]
    pub status: Option<u16>,
    /// The error message.
    pub message: String,
    /// When, in ms since 1970.
    pub at_ms: u64,
}
