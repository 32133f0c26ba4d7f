//! One call of a phone: the user agent, the session, the audio, and the person.

use super::Happening;
use super::exchange::now;
use crate::phone::Error;
use crate::phone::session::{Agreed, Described, Direction, Local};
use crate::phone::stream::Order;
use crate::phone::ua::{Event, Ua};
use rand::rngs::StdRng;
use tokio::sync::mpsc;

/// One call of the phone.
pub(super) struct Call {
    pub(super) id: u64,
    pub(super) ua: Ua,
    pub(super) local: Local,
    pub(super) agreed: Option<Agreed>,
    /// The offer that came with the INVITE, until it is answered.
    pub(super) offer: Option<Described>,
    /// What was answered to it: 183 and 200 say the same.
    pub(super) answer: Option<String>,
    pub(super) happenings: mpsc::Sender<Happening>,
    pub(super) orders: mpsc::Sender<Order>,
}
impl Call {
    /// Takes what the user agent says, negotiates, and tells the person.
    pub(super) fn happened(&mut self, event: Event, random: &mut StdRng) -> Happening {
        match event {
            Event::Progress(status, body) => {
                match body.map(|body| self.accept(&body)) {
                    Some(Err(error)) => return Happening::Fault(error.to_string()),
                    Some(Ok(())) => self.talk(true),
                    None => {}
                }
                Happening::Progress(status)
            }
            Event::Answered(body) => match self.accept(&body.unwrap_or_default()) {
                Ok(()) => {
                    self.talk(true);
                    Happening::Answered(self.remote_direction())
                }
                Err(error) => Happening::Fault(error.to_string()),
            },
            Event::Offered(body) => {
                let answer = Described::read(&body.unwrap_or_default())
                    .and_then(|offer| Ok((offer.direction, self.local.answer(&offer, random)?)));
                match answer {
                    Ok((direction, (text, agreed))) => {
                        self.ua.answer_invite(200, Some(&text), now());
                        self.agree(agreed);
                        self.talk(true);
                        Happening::Offered(direction)
                    }
                    Err(error) => {
                        self.ua.answer_invite(488, None, now());
                        Happening::Fault(error.to_string())
                    }
                }
            }
            Event::Acknowledged => {
                self.talk(true);
                Happening::Acknowledged
            }
            Event::Refused(status) => Happening::Refused(status),
            Event::Cancelled => Happening::Cancelled,
            Event::HungUp => {
                self.talk(false);
                Happening::HungUp
            }
            Event::Ended(status) => Happening::Ended(status),
            Event::TimedOut(_) => Happening::TimedOut,
            Event::Fault(what) => Happening::Fault(what),
        }
    }

    pub(super) fn accept(&mut self, answer: &[u8]) -> Result<(), Error> {
        let agreed = self.local.accept(&Described::read(answer)?)?;
        self.agree(agreed);
        Ok(())
    }

    pub(super) fn agree(&mut self, agreed: Agreed) {
        let _ = self.orders.try_send(Order::Open(Box::new(agreed.clone())));
        self.agreed = Some(agreed);
    }

    fn remote_direction(&self) -> Direction {
        self.agreed
            .as_ref()
            .map_or(Direction::Inactive, |agreed| agreed.remote.direction)
    }

    /// Speaks, as far as both descriptions allow, or is quiet.
    pub(super) fn talk(&self, talking: bool) {
        let allowed = self.local.direction.sends() && self.remote_direction().receives();
        let _ = self.orders.try_send(Order::Talk(talking && allowed));
    }
}
