//! What a channel refers to, ad breaks and the revocation of viewer sessions.

use aws_sdk_ivs::Client;
use aws_sdk_ivs::types::{
    BatchStartViewerSessionRevocationError, BatchStartViewerSessionRevocationViewerSession,
    FailoverSlateConfiguration, FailoverSlateConfigurationState, MediaTailorPlaybackConfiguration,
};

use super::{client, code, told};
use crate::support::SOON;
use crate::support::emulator::Emulator;

/// Another service's, which the emulator does not ask for.
const ADS: &str = "arn:aws:mediatailor:us-west-2:000000000000:playbackConfiguration/ads";

#[tokio::test]
async fn playback_restriction_policies() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let create = ivs.create_playback_restriction_policy();
    let create = create
        .allowed_countries("DE")
        .allowed_origins("https://example.com");
    let made = create.send().await.unwrap();
    let policy = told(made.playback_restriction_policy());
    assert_eq!(policy.allowed_countries(), ["DE"]);

    let get = || ivs.get_playback_restriction_policy().arn(policy.arn());
    let got = get().send().await.unwrap();
    assert_eq!(got.playback_restriction_policy(), Some(policy));
    let listed = ivs.list_playback_restriction_policies().send().await;
    assert_eq!(
        listed.unwrap().playback_restriction_policies()[0].arn(),
        policy.arn()
    );
    let update = ivs.update_playback_restriction_policy().arn(policy.arn());
    let updated = update.enable_strict_origin_enforcement(true).send().await;
    let updated = updated.unwrap();
    let updated = told(updated.playback_restriction_policy());
    assert_eq!(updated.enable_strict_origin_enforcement(), Some(true));

    let channel = ivs.create_channel();
    let channel = channel.playback_restriction_policy_arn(policy.arn());
    let channel = channel.send().await.unwrap();
    let channel = told(told(channel.channel()).arn());
    let delete = || ivs.delete_playback_restriction_policy().arn(policy.arn());
    assert_eq!(code(delete().send().await), "ConflictException");
    ivs.delete_channel().arn(channel).send().await.unwrap();
    delete().send().await.unwrap();
    assert_eq!(code(get().send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn ad_configurations_and_ad_breaks() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let playback = MediaTailorPlaybackConfiguration::builder();
    let playback = playback.playback_configuration_arn(ADS).build();
    let create = ivs.create_ad_configuration();
    let create = create.media_tailor_playback_configurations(playback.clone());
    let made = create.send().await.unwrap();
    let ads = told(made.ad_configuration());
    assert_eq!(ads.media_tailor_playback_configurations(), [playback]);

    let get = || ivs.get_ad_configuration().arn(ads.arn());
    let got = get().send().await.unwrap();
    assert_eq!(got.ad_configuration(), Some(ads));
    let listed = ivs.list_ad_configurations().send().await.unwrap();
    assert_eq!(listed.ad_configurations()[0].arn(), ads.arn());
    let update = ivs.update_ad_configuration().arn(ads.arn()).name("renamed");
    let updated = update.send().await.unwrap();
    assert_eq!(told(updated.ad_configuration()).name(), Some("renamed"));

    let channel = ivs.create_channel().ad_configuration_arn(ads.arn());
    let channel = channel.send().await.unwrap();
    let channel = told(told(channel.channel()).arn());
    let insert = || {
        ivs.insert_ad_break()
            .channel_arn(channel)
            .duration_seconds(30)
    };
    assert_eq!(code(insert().send().await), "ChannelNotBroadcasting");
    emulator.api.stream(channel, "live");
    let inserted = insert().send().await.unwrap();
    assert_eq!(told(inserted.ad_break_id()).len(), 12);
    let same = insert().set_ad_break_id(inserted.ad_break_id().map(Into::into));
    assert_eq!(code(same.send().await), "ConflictException");
    emulator.api.stream(channel, "offline");

    let delete = || ivs.delete_ad_configuration().arn(ads.arn());
    assert_eq!(code(delete().send().await), "ConflictException");
    ivs.delete_channel().arn(channel).send().await.unwrap();
    delete().send().await.unwrap();
    assert_eq!(code(get().send().await), "ResourceNotFoundException");
}

/// Waits until it is neither being created nor being updated.
async fn settled(ivs: &Client, arn: &str) -> FailoverSlateConfiguration {
    let look = async {
        loop {
            let get = ivs.get_failover_slate_configuration().arn(arn);
            let got = get.send().await.unwrap();
            let slate = told(got.failover_slate_configuration());
            if slate.state() == &FailoverSlateConfigurationState::Created {
                return slate.clone();
            }
        }
    };
    tokio::time::timeout(SOON, look).await.expect("it settles")
}

#[tokio::test]
async fn failover_slate_configurations() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let create = ivs.create_failover_slate_configuration();
    let made = create.min_slate_display_seconds(5).send().await.unwrap();
    let made = told(made.failover_slate_configuration());
    assert_eq!(made.state(), &FailoverSlateConfigurationState::Creating);
    let slate = settled(&ivs, made.arn()).await;
    assert_eq!(slate.min_slate_display_seconds(), Some(5));

    let listed = ivs.list_failover_slate_configurations().send().await;
    assert_eq!(
        listed.unwrap().failover_slate_configurations()[0].arn(),
        slate.arn()
    );
    let update = ivs.update_failover_slate_configuration().arn(slate.arn());
    let updated = update.max_slate_display_seconds(180).send().await.unwrap();
    let updated = told(updated.failover_slate_configuration());
    assert_eq!(updated.state(), &FailoverSlateConfigurationState::Updating);
    let slate = settled(&ivs, slate.arn()).await;
    assert_eq!(slate.max_slate_display_seconds(), Some(180));

    let channel = ivs.create_channel();
    let channel = channel.failover_slate_configuration_arn(slate.arn());
    let channel = channel.send().await.unwrap();
    let channel = told(told(channel.channel()).arn());
    emulator.api.stream(channel, "live");
    let session = ivs.get_stream_session().channel_arn(channel);
    let session = session.send().await.unwrap();
    let used = told(session.stream_session()).failover_slate_configuration();
    assert_eq!(told(used).arn(), slate.arn());
    emulator.api.stream(channel, "offline");

    ivs.delete_channel().arn(channel).send().await.unwrap();
    let delete = ivs.delete_failover_slate_configuration();
    delete.arn(slate.arn()).send().await.unwrap();
    let gone = ivs.get_failover_slate_configuration().arn(slate.arn());
    assert_eq!(code(gone.send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn viewer_sessions() {
    let emulator = Emulator::start(&[]);
    let ivs = client(&emulator);
    let made = ivs.create_channel().send().await.unwrap();
    let channel = told(told(made.channel()).arn());
    let nobody = format!("{}none", &channel[..channel.len() - 4]);
    let one = |channel: &str| {
        ivs.start_viewer_session_revocation()
            .channel_arn(channel)
            .viewer_id("one")
    };
    one(channel).send().await.unwrap();
    assert_eq!(code(one(&nobody).send().await), "ResourceNotFoundException");

    let session = |channel: &str| {
        BatchStartViewerSessionRevocationViewerSession::builder()
            .channel_arn(channel)
            .viewer_id("two")
            .build()
            .unwrap()
    };
    let batch = ivs.batch_start_viewer_session_revocation();
    let batch = batch.viewer_sessions(session(channel));
    let ended = batch
        .viewer_sessions(session(&nobody))
        .send()
        .await
        .unwrap();
    let refused: Vec<_> = ended
        .errors()
        .iter()
        .map(BatchStartViewerSessionRevocationError::channel_arn)
        .collect();
    assert_eq!(refused, [nobody.as_str()]);
}
