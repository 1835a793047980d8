//! Where in [`Settings`] the declared settings are, section by section.
//!
//! This is what everything that is derived goes through.

use std::sync::Arc;

use engine::{AccountPolicy, ChannelPolicy};
use serde_json::{Map, Value};

use super::keys::{
    ACCOUNT, API_KEY, AdminSettings, CHANNEL_POLICY, ChannelTable, ClusterSettings,
    EventBridgeSettings, JournalSettings, JwtSettings, LimitSettings, LocalIvsSettings,
    MetricsSettings, PACKING, PutMetadataSettings, QuotaSettings, RATES, SCHEDULING,
    ServerSettings, StateSettings, TracingSettings, TuningSettings, UnlistedSettings,
    UpstreamSettings, WEBHOOK, WINDOW,
};
use super::reader::Table;
use super::setting::{About, Effect, Setting};
use super::settings::Settings;
use super::tables::{AccountSettings, ApiKeySettings, WebhookSettings};

/// Settings of one plain section that live in one place. A section may have several parts.
pub(super) trait Part: Sync {
    fn section(&self) -> &'static str;

    fn about(&self, defaults: &Settings) -> Vec<About>;

    fn read(&self, settings: &mut Settings, table: &mut Table<'_, '_>);

    fn show(&self, settings: &Settings, into: &mut Map<String, Value>);

    /// The settings that differ.
    fn changed(&self, old: &Settings, new: &Settings) -> Vec<Change>;

    /// Takes back, in `new`, what only a restart can change.
    fn keep(&self, old: &Settings, new: &mut Settings);
}

/// A setting of a plain section that a reload changes.
pub(super) struct Change {
    pub(super) key: &'static str,
    effect: Effect,
    pub(super) old: Value,
    pub(super) new: Value,
}

impl Change {
    /// Whether the new value takes effect only after a restart.
    pub(super) fn needs_restart(&self) -> bool {
        match self.effect {
            Effect::Live => false,
            Effect::Restart => true,
            Effect::SwitchedAtStart => is_empty(&self.old) != is_empty(&self.new),
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
}

struct Fields<S: 'static> {
    section: &'static str,
    settings: &'static [&'static dyn Setting<S>],
    get: fn(&Settings) -> &S,
    get_mut: fn(&mut Settings) -> &mut S,
}

impl<S> Part for Fields<S> {
    fn section(&self) -> &'static str {
        self.section
    }

    fn about(&self, defaults: &Settings) -> Vec<About> {
        about(self.settings, (self.get)(defaults))
    }

    fn read(&self, settings: &mut Settings, table: &mut Table<'_, '_>) {
        read(self.settings, (self.get_mut)(settings), table);
    }

    fn show(&self, settings: &Settings, into: &mut Map<String, Value>) {
        into.extend(show(self.settings, (self.get)(settings)));
    }

    fn changed(&self, old: &Settings, new: &Settings) -> Vec<Change> {
        let (old, new) = ((self.get)(old), (self.get)(new));
        let differ = self.settings.iter().filter(|it| it.differs(old, new));
        differ
            .map(|setting| Change {
                key: setting.key(),
                effect: setting.effect(),
                old: setting.show(old),
                new: setting.show(new),
            })
            .collect()
    }

    fn keep(&self, old: &Settings, new: &mut Settings) {
        let (old, new) = ((self.get)(old), (self.get_mut)(new));
        for setting in self.settings {
            if setting.effect() == Effect::Restart && setting.differs(old, new) {
                setting.copy(old, new);
            }
        }
    }
}

pub(super) fn read<S>(settings: &[&dyn Setting<S>], into: &mut S, table: &mut Table<'_, '_>) {
    for setting in settings {
        setting.read(into, table);
    }
}

pub(super) fn show<S>(settings: &[&dyn Setting<S>], of: &S) -> Map<String, Value> {
    let shown = settings.iter();
    shown
        .map(|setting| (setting.key().to_owned(), setting.show(of)))
        .collect()
}

fn about<S>(settings: &[&dyn Setting<S>], defaults: &S) -> Vec<About> {
    let settings = settings.iter();
    settings.map(|setting| setting.about(defaults)).collect()
}

macro_rules! part {
    ($section:literal, $settings:expr, $field:ident: $type:ty) => {
        &Fields::<$type> {
            section: $section,
            settings: $settings,
            get: |settings| &settings.$field,
            get_mut: |settings| &mut settings.$field,
        }
    };
}

/// The plain sections, in the order of the file.
pub(super) const PLAIN: &[&dyn Part] = &[
    part!("server", ServerSettings::KEYS, server: ServerSettings),
    part!("metrics", MetricsSettings::KEYS, metrics: MetricsSettings),
    part!("admin", AdminSettings::KEYS, admin: AdminSettings),
    part!("upstream", UpstreamSettings::KEYS, upstream: UpstreamSettings),
    part!("local_ivs", LocalIvsSettings::KEYS, local_ivs: LocalIvsSettings),
    part!("quota", RATES, account_defaults: AccountPolicy),
    part!("quota", QuotaSettings::KEYS, quota: QuotaSettings),
    part!("journal", JournalSettings::KEYS, journal: JournalSettings),
    part!("cluster", ClusterSettings::KEYS, cluster: ClusterSettings),
    part!("limits", LimitSettings::KEYS, limits: LimitSettings),
    part!("put_metadata", PutMetadataSettings::KEYS, put_metadata: PutMetadataSettings),
    &Fields::<ChannelPolicy> {
        section: "channel_defaults",
        settings: CHANNEL_POLICY,
        get: |settings| &settings.channel_defaults,
        get_mut: |settings| Arc::make_mut(&mut settings.channel_defaults),
    },
    part!("channels", UnlistedSettings::KEYS, unlisted: UnlistedSettings),
    part!("jwt", JwtSettings::KEYS, jwt: JwtSettings),
    part!("eventbridge", EventBridgeSettings::KEYS, eventbridge: EventBridgeSettings),
    part!("tracing", TracingSettings::KEYS, tracing: TracingSettings),
    part!("tuning", SCHEDULING, account_defaults: AccountPolicy),
    &Fields::<ChannelPolicy> {
        section: "tuning",
        settings: PACKING,
        get: |settings| &settings.channel_defaults,
        get_mut: |settings| Arc::make_mut(&mut settings.channel_defaults),
    },
    part!("tuning", TuningSettings::KEYS, tuning: TuningSettings),
    part!("state", StateSettings::KEYS, state: StateSettings),
    &Fields::<ChannelPolicy> {
        section: "state",
        settings: WINDOW,
        get: |settings| &settings.channel_defaults,
        get_mut: |settings| Arc::make_mut(&mut settings.channel_defaults),
    },
];

/// A section as documentation has it.
pub struct SectionAbout {
    /// Its name.
    pub name: &'static str,
    /// Whether it is written `[[name]]`, any number of times.
    pub is_list: bool,
    /// Its settings.
    pub settings: Vec<About>,
}

/// Every section, in the order of the file: the plain ones, then the lists.
#[must_use]
pub fn sections() -> Vec<SectionAbout> {
    let defaults = Settings::empty();
    let mut sections: Vec<SectionAbout> = Vec::new();
    for part in PLAIN {
        let settings = part.about(&defaults);
        match sections.last_mut() {
            Some(last) if last.name == part.section() => last.settings.extend(settings),
            _ => sections.push(SectionAbout {
                name: part.section(),
                is_list: false,
                settings,
            }),
        }
    }
    let channel = [
        about(ChannelTable::KEYS, &ChannelTable::default()),
        about(CHANNEL_POLICY, &defaults.channel_defaults),
    ];
    let account = [
        about(ACCOUNT, &AccountSettings::new(AccountPolicy::default())),
        about(RATES, &defaults.account_defaults),
    ];
    let lists = [
        ("channel", channel.concat()),
        ("account", account.concat()),
        ("api_key", about(API_KEY, &ApiKeySettings::default())),
        ("webhook", about(WEBHOOK, &WebhookSettings::default())),
    ];
    sections.extend(lists.map(|(name, settings)| SectionAbout {
        name,
        is_list: true,
        settings,
    }));
    sections
}
