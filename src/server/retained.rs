//! What calls want of the ZRTP cache: each command is carried out beside the call, and an answer comes into its inbox.

use super::{inbox::Inbox, zid_cache::ZidCache};
use crate::call::{
    Input,
    handshake::{ZrtpCommand, ZrtpRetained},
};
use std::{sync::Arc, time::SystemTime};
use tracing::Instrument as _;

/// Asks the cache, or gives it something to keep. Must be called within the runtime.
pub(super) fn obey(cache: &Arc<ZidCache>, command: ZrtpCommand, inbox: &Inbox) {
    #[expect(clippy::disallowed_methods, reason = "secrets expire by wall-clock time")]
    let now = SystemTime::now();
    let (cache, inbox) = (cache.clone(), inbox.clone());
    let work = async move {
        match command {
            ZrtpCommand::Store(update) => {
                if let Err(error) = cache.update(&update, now).await {
                    tracing::error!(%error, "a ZRTP secret is not kept: its peer will see a new string next time");
                }
            }
            ZrtpCommand::Lookup { side, peer } => match cache.retained(peer, now).await {
                Ok(retained) => inbox.push(Input::Retained(ZrtpRetained { side, peer, retained })),
                // No answer: without its secrets the call would look like an attack to the peer.
                Err(error) => tracing::error!(%error, "ZRTP cannot go on"),
            },
        }
    };
    tokio::spawn(work.in_current_span());
}
