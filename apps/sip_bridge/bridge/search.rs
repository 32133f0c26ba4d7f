//! The search for a provider and an account.

use super::{
    super::{
        lines::NoLine,
        model::{Provider, Strategy},
        template::Incoming,
    },
    Bridge, Placed, Reason, Tried, Word,
};
use std::time::Instant;

impl Bridge {
    /// Asks the providers in their order, from the one that `tried` names. Each word that was said is told to `hear`. Where none
    /// of them finds an account, it is the one over whose own connection the call came ([`Self::inwards`]).
    pub(in super::super) async fn place(
        &self,
        incoming: &Incoming,
        tried: &Tried,
        random: &mut (dyn FnMut() -> u64 + Send),
        now: Instant,
        hear: &mut (dyn FnMut(usize, &Word) + Send),
    ) -> Option<(usize, Placed)> {
        let providers = || self.providers.iter().enumerate().skip(tried.provider);
        for (index, provider) in providers() {
            let again = (tried.of(index), tried.is_again());
            let strategy = &provider.plan.strategy;
            let word = self.ask(provider, strategy, incoming, again, random(), now);
            let word = word.await;
            hear(index, &word);
            match word {
                Word::Next(_) => {}
                Word::Refuse(Reason::Account(NoLine::NotFound(_))) => break,
                Word::Refuse(_) => return None,
                Word::Place(placed) => return Some((index, *placed)),
            }
        }
        for (index, provider) in providers() {
            let Some(strategy) = self.inwards(&provider.plan, incoming) else {
                continue;
            };
            let again = (tried.of(index), tried.is_again());
            let word = self.ask(provider, &strategy, incoming, again, random(), now);
            let word = word.await;
            hear(index, &word);
            match word {
                Word::Next(_) => {}
                Word::Refuse(_) => return None,
                Word::Place(placed) => return Some((index, *placed)),
            }
        }
        None
    }

    /// The account of this provider over whose own connection a call came, from a server of that account. Of providers that lead
    /// inside alone: what came from the account's own server does not go back there.
    pub(super) fn inwards(&self, plan: &Provider, incoming: &Incoming) -> Option<Strategy> {
        let own = incoming.own.as_ref()?;
        plan.invite.outbound_proxy.as_ref()?;
        let pool = self.pools.get(plan.pool)?;
        let account = pool.of_connection(own)?;
        let is_its = incoming.host.is_some_and(|host| pool.is_server(&account, host));
        is_its.then(|| Strategy::Account(account.uri.uri.as_str().to_owned()))
    }
}
