//! Where the request goes: the next route, and the addresses of its first hop one after the other.

use super::*;

impl Passage {
    /// The answer to [`PassageOutput::Lookup`].
    pub fn handle_targets(
        &mut self,
        side: Side,
        targets: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        let half = match side {
            Side::A => Some(&mut self.a),
            Side::B => self.b.as_mut(),
        };
        // A route that was given up may still have been looked up.
        let Some((half, hop)) = half.and_then(|half| half.answered().map(|hop| (half, hop))) else {
            return tracing::debug!(?side, "targets that nobody asked for");
        };
        let found = match targets {
            Ok(targets) if !targets.is_empty() => {
                half.keep(hop.clone(), targets.clone());
                Ok(targets)
            }
            Ok(_) => Err(LookupError::NotFound(hop.uri.to_string())),
            Err(error) => Err(error),
        };
        let mut failed = Vec::new();
        for (at, crossing) in self.crossings.iter_mut().enumerate() {
            let waits = |outbound: &&mut Outbound| outbound.hop.as_ref() == Some(&hop) && !outbound.done;
            if crossing.asker == side {
                continue;
            }
            let Some(outbound) = crossing.outbound.as_mut().filter(waits) else {
                continue;
            };
            match &found {
                Ok(targets) => {
                    let failure = outbound.begin(targets, &mut half.wire(&self.profile, env));
                    failed.extend(failure.map(|failure| (at, failure)));
                }
                Err(error) => {
                    outbound.abandon();
                    outbound.hop = None;
                    failed.push((at, Failure::of_lookup(error)));
                }
            }
        }
        for (at, failure) in failed {
            self.failed(at, failure, env);
        }
        self.settle(env);
    }

    /// Sending failed.
    pub fn handle_undeliverable(&mut self, Unsent { branch, to, .. }: &Unsent, env: &mut Env<'_>) {
        let mut failed = Vec::new();
        for (at, crossing) in self.crossings.iter_mut().enumerate() {
            let half = match crossing.asker {
                Side::A => self.b.as_mut(),
                Side::B => Some(&mut self.a),
            };
            let (Some(half), Some(outbound)) = (half, crossing.outbound.as_mut()) else {
                continue;
            };
            if outbound.has_branch(branch) {
                half.forget();
                let failure = outbound.undeliverable(to, &mut half.wire(&self.profile, env));
                failed.extend(failure.map(|failure| (at, failure)));
            }
        }
        for (at, failure) in failed {
            self.failed(at, failure, env);
        }
        self.settle(env);
    }

    /// Tries the next route; without one who asked gets `failure`.
    pub(super) fn try_next(&mut self, failure: Failure, env: &mut Env<'_>) {
        self.tried += 1;
        let route = self.routes.pop_front().filter(|_| self.tried <= MAX_ROUTES);
        let (Some(route), Some(first)) = (route, self.crossings.first_mut()) else {
            self.current = None;
            return self.refuse(0, &failure, env);
        };
        let asked = &self.asked;
        let cseq = first_cseq(env);
        let (tag, call_id) = (env.ids.tag(), env.ids.call_id());
        // RFC 6665 §4.1.2.1, §4.2.1: also a NOTIFY that nobody subscribed to names where its sender is.
        let has_contact = matches!(asked.method, Method::Subscribe | Method::Notify);
        let mut request = request_of(
            &route,
            asked.method.clone(),
            (&tag, &call_id, cseq),
            self.max_forwards,
            &self.profile,
        );
        if has_contact {
            dress_contact(&mut request.headers);
        }
        if route.private {
            content::of_request(&without_asker(&asked.headers), &mut request.headers);
        } else {
            content::of_request(&asked.headers, &mut request.headers);
        }
        request.body = route.body.clone().unwrap_or_else(|| asked.body.clone());
        let dialog = Dialog::calling(&request, &tag, cseq);
        let key = DialogKey {
            call_id: dialog.call_id.clone(),
            local_tag: dialog.local_tag.clone(),
        };
        let hop = NextHop::first(&route.route, &route.target);
        let mut half = Half::new(
            dialog,
            route.credentials.clone(),
            route.own.clone(),
            &self.profile,
        );
        // Nobody has told us yet where this is.
        let _ = half.targets(&hop);
        self.out.push_back(PassageOutput::Dialog(Side::B, key));
        first.outbound = Some(Outbound::new(
            Purpose::Passed,
            request,
            cseq,
            has_contact,
            Some(hop),
        ));
        self.b = Some(half);
        self.current = Some(route);
    }
}
