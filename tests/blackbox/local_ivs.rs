//! Every operation of the local IVS through AWS's SDK for Rust, as it is: that it reads each
//! answer and knows each error by its name. What the operations do is asserted in
//! `tests/interop`.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod configurations;

use std::fmt::Debug;
use std::time::Duration;

use aws_sdk_ivs::Client;
use aws_sdk_ivs::config::retry::RetryConfig;
use aws_sdk_ivs::config::{BehaviorVersion, Config, Credentials, Region};
use aws_sdk_ivs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ivs::types::{
    ChannelLatencyMode, ChannelType, DestinationConfiguration, RecordingConfigurationState,
    S3DestinationConfiguration, StreamFilters, StreamHealth, StreamState, StreamSummary,
};

use crate::support::SOON;
use crate::support::emulator::Emulator;

/// ECDSA on P-384, as IVS wants it.
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqe2KZSEEZdhoLskkqgjDuRBVzxrNcGwp\n\
KcpmUXpKI4tMMfkYa45ZirmJryQ/PQ2wo/wjJ29k58OWAavIWFH04xLlFzj/NOM9\n\
sxnFLXmpSdatlZKWeLaTj4gEHWIT/Rlh\n\
-----END PUBLIC KEY-----\n\
";

fn client(emulator: &Emulator) -> Client {
    Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{}", emulator.api.0))
            .region(Region::new("us-west-2"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            // The rates are AWS's: the SDK makes a throttled call again.
            .retry_config(RetryConfig::standard().with_max_attempts(20))
            .build(),
    )
}

/// The name of a call's error, as the SDK understood it.
fn code<T: Debug, E: ProvideErrorMetadata + Debug>(ended: Result<T, SdkError<E>>) -> String {
    let error = ended.expect_err("an error");
    let code = error.code().map(ToOwned::to_owned);
    code.unwrap_or_else(|| panic!("an error without a code: {error:?}"))
}

/// What the SDK has as an option, and the service always tells.
fn told<T>(member: Option<T>) -> T {
    member.expect("a member of the answer")
}

#[tokio::test]
async fn channels() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let made = ivs
        .create_channel()
        .name("sdk")
        .r#type(ChannelType::AdvancedHdChannelType);
    let made = made.tags("größe/ä", "è").send().await.expect("tags");
    let channel = told(made.channel());
    let arn = told(channel.arn());
    assert_eq!(channel.r#type(), Some(&ChannelType::AdvancedHdChannelType));
    assert_eq!(
        channel.latency_mode(),
        Some(&ChannelLatencyMode::LowLatency)
    );

    let got = ivs.get_channel().arn(arn).send().await.expect("tags");
    assert_eq!(got.channel(), Some(channel));
    let nobody = format!("{}none", &arn[..arn.len() - 4]);
    let batch = ivs.batch_get_channel().arns(arn).arns(&nobody);
    let batch = batch.send().await.expect("tags");
    assert_eq!((batch.channels().len(), batch.errors().len()), (1, 1));
    let mut pages = ivs.list_channels().into_paginator().page_size(1).send();
    let mut listed = Vec::new();
    while let Some(page) = pages.next().await {
        listed.extend(
            page.unwrap()
                .channels()
                .iter()
                .map(|it| told(it.arn()).to_owned()),
        );
    }
    assert!(listed.iter().any(|it| it == arn), "{listed:?}");
    let updated = ivs.update_channel().arn(arn).authorized(true);
    let updated = updated.send().await.expect("tags");
    assert!(told(updated.channel()).authorized());
    ivs.delete_channel().arn(arn).send().await.expect("tags");
    let gone = ivs.delete_channel().arn(arn).send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
    let wrong = ivs.create_channel().name("no blanks").send().await;
    assert_eq!(code(wrong), "ValidationException");
}

#[tokio::test]
async fn stream_keys_and_tags() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let made = ivs
        .create_channel()
        .tags("größe/ä", "è")
        .send()
        .await
        .unwrap();
    let arn = told(told(made.channel()).arn());
    let key = told(told(made.stream_key()).arn());
    let got = ivs.get_stream_key().arn(key).send().await.expect("tags");
    assert_eq!(got.stream_key(), made.stream_key());
    let batch = ivs
        .batch_get_stream_key()
        .arns(key)
        .send()
        .await
        .expect("tags");
    assert_eq!(batch.stream_keys().first(), made.stream_key());
    let listed = ivs
        .list_stream_keys()
        .channel_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(listed.stream_keys().len(), 1);
    let second = ivs.create_stream_key().channel_arn(arn).send().await;
    assert_eq!(code(second), "ServiceQuotaExceededException");
    ivs.delete_stream_key().arn(key).send().await.expect("tags");
    let third = ivs
        .create_stream_key()
        .channel_arn(arn)
        .send()
        .await
        .unwrap();
    assert_ne!(told(third.stream_key()).arn(), Some(key));

    ivs.tag_resource()
        .resource_arn(arn)
        .tags("a/b:c", "1")
        .send()
        .await
        .unwrap();
    ivs.untag_resource()
        .resource_arn(arn)
        .tag_keys("größe/ä")
        .send()
        .await
        .unwrap();
    let tags = ivs
        .list_tags_for_resource()
        .resource_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(tags.tags().len(), 1);
    assert_eq!(tags.tags()["a/b:c"], "1");
}

#[tokio::test]
async fn streams() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let made = ivs.create_channel().send().await.expect("tags");
    let arn = told(told(made.channel()).arn());
    let offline = ivs.get_stream().channel_arn(arn).send().await;
    assert_eq!(code(offline), "ChannelNotBroadcasting");
    let offline = ivs
        .put_metadata()
        .channel_arn(arn)
        .metadata("x")
        .send()
        .await;
    assert_eq!(code(offline), "ChannelNotBroadcasting");

    emulator.api.stream(arn, "live");
    let got = ivs
        .get_stream()
        .channel_arn(arn)
        .send()
        .await
        .expect("tags");
    let stream = told(got.stream());
    assert_eq!(stream.state(), Some(&StreamState::StreamLive));
    assert!(stream.start_time().is_some());
    let healthy = StreamFilters::builder()
        .health(StreamHealth::StreamHealthy)
        .build();
    let listed = ivs
        .list_streams()
        .filter_by(healthy)
        .send()
        .await
        .expect("tags");
    let is_listed = |it: &StreamSummary| it.stream_id() == stream.stream_id();
    assert!(listed.streams().iter().any(is_listed));
    ivs.put_metadata()
        .channel_arn(arn)
        .metadata("é 😀")
        .send()
        .await
        .unwrap();
    assert_eq!(emulator.api.metadata(arn)[0].text, "é 😀");
    let session = ivs
        .get_stream_session()
        .channel_arn(arn)
        .send()
        .await
        .unwrap();
    let session = told(session.stream_session());
    assert_eq!(
        (session.stream_id(), session.end_time()),
        (stream.stream_id(), None)
    );
    assert_eq!(told(session.channel()).arn(), Some(arn));
    let live = ivs.delete_channel().arn(arn).send().await;
    assert_eq!(code(live), "ConflictException");

    ivs.stop_stream()
        .channel_arn(arn)
        .send()
        .await
        .expect("tags");
    let sessions = ivs
        .list_stream_sessions()
        .channel_arn(arn)
        .send()
        .await
        .unwrap();
    assert_eq!(sessions.stream_sessions().len(), 1);
    assert!(sessions.stream_sessions()[0].end_time().is_some());
}

#[tokio::test]
async fn key_pairs_and_recordings() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let import = || {
        ivs.import_playback_key_pair()
            .public_key_material(PUBLIC_KEY)
            .send()
    };
    let imported = import().await.unwrap();
    let pair = told(told(imported.key_pair()).arn());
    assert_eq!(code(import().await), "ConflictException");
    let got = ivs
        .get_playback_key_pair()
        .arn(pair)
        .send()
        .await
        .expect("tags");
    assert_eq!(got.key_pair(), imported.key_pair());
    let listed = ivs.list_playback_key_pairs().send().await.expect("tags");
    assert_eq!(listed.key_pairs().len(), 1);
    ivs.delete_playback_key_pair()
        .arn(pair)
        .send()
        .await
        .unwrap();

    let bucket = S3DestinationConfiguration::builder()
        .bucket_name("recordings")
        .build();
    let destination = DestinationConfiguration::builder()
        .s3(bucket.unwrap())
        .build();
    let made = ivs
        .create_recording_configuration()
        .destination_configuration(destination);
    let made = made.send().await.expect("tags");
    let recording = told(made.recording_configuration()).arn();
    let is_active = async {
        loop {
            let got = ivs
                .get_recording_configuration()
                .arn(recording)
                .send()
                .await
                .unwrap();
            if told(got.recording_configuration()).state() == &RecordingConfigurationState::Active {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(SOON, is_active)
        .await
        .expect("it becomes active");
    let used = ivs.create_channel().recording_configuration_arn(recording);
    let used = used.send().await.expect("tags");
    let conflict = ivs
        .delete_recording_configuration()
        .arn(recording)
        .send()
        .await;
    assert_eq!(code(conflict), "ConflictException");
    let listed = ivs
        .list_recording_configurations()
        .send()
        .await
        .expect("tags");
    assert_eq!(listed.recording_configurations().len(), 1);
    let channel = told(told(used.channel()).arn());
    ivs.delete_channel()
        .arn(channel)
        .send()
        .await
        .expect("tags");
    ivs.delete_recording_configuration()
        .arn(recording)
        .send()
        .await
        .unwrap();
    let gone = ivs
        .get_recording_configuration()
        .arn(recording)
        .send()
        .await;
    assert_eq!(code(gone), "ResourceNotFoundException");
}
