//! SDK clients: where credentials come from, which endpoint, which timeouts, which pool.
//!
//! Every retry, wait and guard of the SDK is off here: the scheduler alone decides when a
//! call goes, and a call more than it decided breaks the limit.

use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ivs::Client;
use aws_sdk_ivs::config::retry::RetryConfig;
use aws_sdk_ivs::config::{
    Credentials as KeyPair, SharedCredentialsProvider, StalledStreamProtectionConfig,
};
use aws_smithy_async::time::SystemTimeSource;

use super::connection::{Limits, http_client};
use super::options::{AccountOptions, Credentials, UpstreamOptions};

/// The share of a call's time that its connection may take. Below 1, so that "not connected,
/// nothing sent" is known before the runtime gives the call up as unknown; of the default 2 s
/// it leaves room for a lost SYN, which goes again after 1 s.
const CONNECT_SHARE: f64 = 0.75;

/// The name an assumed role shows in the account's audit log.
const SESSION_NAME: &str = "cuegate";

/// The configuration that all accounts share: the machine's own, or fixed credentials alone.
pub(super) async fn base(options: &UpstreamOptions, region: &str) -> SdkConfig {
    match &options.credentials {
        Credentials::Fixed {
            access_key_id,
            secret_access_key,
        } => {
            let pair = KeyPair::new(access_key_id, secret_access_key, None, None, "cuegate");
            SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(
                    options.region.clone().unwrap_or_else(|| region.to_owned()),
                ))
                .credentials_provider(SharedCredentialsProvider::new(pair))
                // Assuming a role needs one.
                .time_source(SystemTimeSource::new())
                .build()
        }
        // The instance's metadata is not asked for a region: outside of EC2 that costs
        // seconds, and only roles need one at all.
        Credentials::Chain => {
            let chain = RegionProviderChain::first_try(options.region.clone().map(Region::new))
                .or_else(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
                .or_else(Region::new(region.to_owned()));
            aws_config::defaults(BehaviorVersion::latest())
                .region(chain)
                .load()
                .await
        }
    }
}

/// The configuration of one account in one region.
pub(super) async fn config(
    base: &SdkConfig,
    options: &UpstreamOptions,
    own: Option<&AccountOptions>,
    region: &str,
) -> SdkConfig {
    let mut config = base.to_builder().region(Region::new(region.to_owned()));
    if let Some(Credentials::Fixed {
        access_key_id,
        secret_access_key,
    }) = own.and_then(|own| own.credentials.as_ref())
    {
        let pair = KeyPair::new(access_key_id, secret_access_key, None, None, "cuegate");
        config.set_credentials_provider(Some(SharedCredentialsProvider::new(pair)));
    }
    if let Some(role) = own.and_then(|own| own.role_arn.as_deref()) {
        let external_id = own.and_then(|own| own.external_id.as_deref());
        config.set_credentials_provider(Some(assumed(base, role, external_id).await));
    }
    let endpoint = own
        .and_then(|own| own.endpoint_url.as_ref())
        .or(options.endpoint_url.as_ref());
    if let Some(url) = endpoint {
        config.set_endpoint_url(Some(url.clone()));
    }
    config.build()
}

/// Credentials of `role`, assumed with those of `base` in the region of `base`.
async fn assumed(
    base: &SdkConfig,
    role: &str,
    external_id: Option<&str>,
) -> SharedCredentialsProvider {
    let mut builder = AssumeRoleProvider::builder(role)
        .configure(base)
        .session_name(SESSION_NAME);
    if let Some(id) = external_id {
        builder = builder.external_id(id);
    }
    SharedCredentialsProvider::new(builder.build().await)
}

fn limits(options: &UpstreamOptions) -> Limits {
    Limits {
        connect: options.call_timeout.mul_f64(CONNECT_SHARE),
        call: options.call_timeout,
    }
}

fn timeouts(options: &UpstreamOptions) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(limits(options).connect)
        .operation_timeout(options.call_timeout.saturating_add(options.abandon))
        .build()
}

/// A client of STS that signs with the credentials of `config`, in its region. Where STS is says
/// `base`: the endpoint of `config` is that of another API.
pub(super) fn sts(
    base: &SdkConfig,
    config: &SdkConfig,
    options: &UpstreamOptions,
) -> aws_sdk_sts::Client {
    let mut own = base.to_builder();
    own.set_credentials_provider(config.credentials_provider());
    own.set_region(config.region().cloned());
    let config = aws_sdk_sts::config::Builder::from(&own.build())
        .http_client(http_client(limits(options)))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(options))
        .build();
    aws_sdk_sts::Client::from_conf(config)
}

/// The client of one account in one region.
pub(super) fn build(config: &SdkConfig, options: &UpstreamOptions) -> Client {
    let config = aws_sdk_ivs::config::Builder::from(config)
        .http_client(http_client(limits(options)))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(options))
        // A payload is 1 KB and an answer empty: there is no stream to stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}
