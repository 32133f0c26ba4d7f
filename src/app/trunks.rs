//! Which trunks are there, as applications ask for them to be watched and see them.

pub use crate::qualification::TrunkState;

use crate::sip::Uri;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// The trunks that the server asks by OPTIONS whether they are there. Cheap to clone; all clones are one.
#[derive(Clone, Debug, Default)]
pub struct Trunks(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    order: Mutex<Order>,
    down: RwLock<HashMap<Uri, String>>,
}

#[derive(Debug, Default)]
struct Order {
    list: Option<Vec<(Uri, Duration)>>,
    waker: Option<Waker>,
}

impl Trunks {
    /// These are all trunks, each with the time between two questions. A later list replaces it.
    pub fn watch(&self, trunks: Vec<(Uri, Duration)>) {
        let mut order = self.0.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.list = Some(trunks);
        if let Some(waker) = order.waker.take() {
            waker.wake();
        }
    }
    /// Why a trunk is down; `None` where it is up, was not heard of yet, or is not watched.
    pub fn down(&self, trunk: &Uri) -> Option<String> {
        let down = self.0.down.read().unwrap_or_else(PoisonError::into_inner);
        down.get(trunk).cloned()
    }
    /// The list, when there is a new one.
    pub(crate) fn poll_order(&self, context: &Context<'_>) -> Poll<Vec<(Uri, Duration)>> {
        let mut order = self.0.order.lock().unwrap_or_else(PoisonError::into_inner);
        match order.list.take() {
            Some(list) => Poll::Ready(list),
            None => {
                order.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
    /// Shows how a trunk is from now on.
    pub fn publish(&self, trunk: Uri, state: TrunkState) {
        let mut down = self.0.down.write().unwrap_or_else(PoisonError::into_inner);
        match state {
            TrunkState::Down(why) => drop(down.insert(trunk, why)),
            TrunkState::Up | TrunkState::Unknown => drop(down.remove(&trunk)),
        }
    }
}
