//! Whether accounts have credentials to sign with, found out before the first event needs them.
//!
//! Only their source is asked, never the API. Calls find out too; what they found is not
//! overruled here.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::channel::Account;
use super::gateway::Gateway;

/// How often an account without credentials is looked at again, and new accounts for the first
/// time. Instance metadata and role assumption are asked no oftener than the SDK itself would.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// By account and region, the trouble that was told; none: there are credentials.
type Known = HashMap<(String, String), Option<String>>;

impl Gateway {
    /// Looks after credentials for as long as it runs.
    pub async fn watch_credentials(&self) {
        let mut known = Known::new();
        loop {
            for account in self.registry.accounts() {
                let key = (account.id.clone(), account.region.clone());
                if !matches!(known.get(&key), Some(None)) {
                    let told = known.remove(&key).flatten();
                    let trouble = self.look_at(&account, told.as_deref()).await;
                    known.insert(key, trouble);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Tells of an account that has no credentials, or has them again; the answer is its trouble.
    async fn look_at(&self, account: &Arc<Account>, told: Option<&str>) -> Option<String> {
        let upstream = &self.shared.upstream;
        let checked = upstream.check_credentials(&account.id, &account.region);
        let trouble = checked.await.err().map(|error| error.message);
        let current = account.trouble();
        if current.is_none() || current.as_deref() == told {
            account.set_trouble(trouble.clone());
        }
        trouble
    }
}
