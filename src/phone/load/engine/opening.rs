//! How a call begins, on either side.

use super::{Call, EARLY_CANCEL, Engine, Half, Wake, side_number};
use crate::phone::Error;
use crate::phone::audio::{Side, Voice};
use crate::phone::handset::number;
use crate::phone::load::media::LineId;
use crate::phone::load::plan::{Fate, Media};
use crate::phone::message::{self, Inbound};
use crate::phone::session::{Described, Direction, Local, without_streams};
use crate::phone::tone::Codec;
use crate::phone::ua::Ua;
use crate::phone::zrtp::Zrtp;
use rand::Rng as _;
use std::cmp::Reverse;
use std::net::SocketAddr;
use std::time::Instant;

impl Engine {
    /// Places the next call.
    pub(in crate::phone::load) fn place(&mut self, now: Instant) -> Result<(), Error> {
        let number = self.summary.attempted;
        let fate = self.run.mix.fate(number);
        self.summary.attempted += 1;
        self.open += 1;
        let security = self.run.media.caller(self.run.suite);
        let zrtp = (self.run.media == Media::ZrtpSdes).then(|| Zrtp::new(Some(self.run.key_agreement), now));
        let hash = zrtp.as_ref().map(Zrtp::hash);
        let (at, line) = self.ears(number, Side::Caller, zrtp)?;
        let mut local = Local::new(at, vec![Codec::Pcmu], security, &mut self.random);
        if self.run.media == Media::DtlsPlain {
            local = local.muxed();
        }
        if let Some(hash) = hash {
            local = local.announcing(hash);
        }
        let offer = match self.run.media {
            Media::Signalling => without_streams(at.ip()),
            _ => local.offer(Direction::SendRecv, &mut self.random),
        };
        let target = format!("sip:{}-{number}@{}", self.run.media.word(), self.callee.at.ip());
        let token = format!("{:016x}", self.random.next_u64());
        let uri = message::uri(&target)?;
        let ua = Ua::place(
            self.caller.clone(),
            (&target, uri),
            self.run.server,
            &token,
            Some(&offer),
            now,
        );
        self.by_call_id
            .insert((Side::Caller, ua.call_id().to_owned()), number);
        let caller = Half {
            ua,
            local,
            queued: None,
            line,
        };
        let call = Call {
            fate,
            placed: now,
            caller,
            callee: None,
            answered: None,
            outcome: None,
            hanging_up: false,
            closed: false,
        };
        self.calls.insert(number, call);
        if fate == Fate::Cancelled && number % 2 == 1 {
            self.wakes
                .push(Reverse((now + EARLY_CANCEL, number, Wake::Cancel)));
        }
        self.settle(number, now);
        Ok(())
    }

    /// The address where a side hears: a socket of its own with media, else its SIP address, which none sends to.
    fn ears(
        &mut self,
        number: u32,
        side: Side,
        zrtp: Option<Zrtp>,
    ) -> Result<(SocketAddr, Option<LineId>), Error> {
        let at = if side == Side::Caller {
            self.caller.at
        } else {
            self.callee.at
        };
        let Some(deck) = &self.deck else {
            return Ok((at, None));
        };
        let io = |source| Error::Io {
            what: "a socket for audio".into(),
            source,
        };
        let socket = std::net::UdpSocket::bind((at.ip(), 0)).map_err(io)?;
        let at = socket.local_addr().map_err(io)?;
        let them = Voice {
            call: number,
            side: if side == Side::Caller {
                Side::Callee
            } else {
                Side::Caller
            },
        };
        let id = number as usize * 2 + side_number(side);
        deck.open(id, socket, them, zrtp).map_err(io)?;
        self.lines += 1;
        Ok((at, Some(id)))
    }

    pub(super) fn invited(&mut self, invite: Inbound, from: SocketAddr, now: Instant) -> Result<(), Error> {
        let call_id = invite.call_id.clone();
        let number = number(invite.user().unwrap_or_default());
        if number < self.summary.attempted && self.run.mix.fate(number) == Fate::Silent {
            // It is sent again for 32 s, whatever became of the call: nobody has answered it.
            return Ok(());
        }
        let call = self.calls.get(&number).filter(|call| call.callee.is_none());
        let Some(fate) = call.map(|call| call.fate) else {
            return Err(Error::Message(format!(
                "{}: an INVITE for no call of ours",
                invite.start
            )));
        };
        let offer = match self.run.media {
            Media::Signalling => None,
            _ => Some(Described::read(invite.body().unwrap_or_default())?),
        };
        let answers = fate == Fate::Answered;
        let (at, line) = if answers {
            self.ears(number, Side::Callee, None)?
        } else {
            (self.callee.at, None)
        };
        let mut local = Local::new(at, vec![Codec::Pcmu], self.run.media.callee(), &mut self.random);
        let token = format!("{:016x}", self.random.next_u64());
        let mut ua = Ua::invited(self.callee.clone(), invite, from, &token, now)?;
        match fate {
            Fate::Rejected => ua.answer_invite(486, None, now),
            Fate::Cancelled | Fate::Unanswered | Fate::Silent => ua.answer_invite(180, None, now),
            Fate::Answered => {
                ua.answer_invite(180, None, now);
                let (answer, agreed) = match offer {
                    None => (without_streams(at.ip()), None),
                    Some(offer) => {
                        let (answer, agreed) = local.answer(&offer, &mut self.random)?;
                        (answer, Some(agreed))
                    }
                };
                if let (Some(deck), Some(line), Some(agreed)) = (&self.deck, line, agreed) {
                    let us = Voice {
                        call: number,
                        side: Side::Callee,
                    };
                    deck.agree(line, us, agreed).map_err(|source| Error::Io {
                        what: "audio".into(),
                        source,
                    })?;
                }
                ua.answer_invite(200, Some(&answer), now);
            }
        }
        self.by_call_id.insert((Side::Callee, call_id), number);
        let call = self.calls.get_mut(&number).expect("its fate was read above");
        call.callee = Some(Half {
            ua,
            local,
            queued: None,
            line,
        });
        self.settle(number, now);
        Ok(())
    }
}
