//! The rig's registrar behind a socket.

use b2bua::{
    sip::{Message, parse},
    testing::Registrar,
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Answers until it is dropped.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) registrar: Arc<Mutex<Registrar>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Listening {
    pub(crate) fn start(registrar: Registrar) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket2::SockRef::from(&socket)
            .set_recv_buffer_size(4 << 20)
            .expect("a larger buffer");
        socket
            .set_read_timeout(Some(Duration::from_millis(50)))
            .expect("a timeout");
        let (registrar, stop) = (Arc::new(Mutex::new(registrar)), Arc::new(AtomicBool::new(false)));
        let address = socket.local_addr().expect("bound");
        let served = (registrar.clone(), stop.clone());
        let thread = std::thread::spawn(move || serve(&served.0, &served.1, &socket));
        Self {
            address,
            registrar,
            stop,
            thread: Some(thread),
        }
    }
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Registrar) -> T) -> T {
        look(&mut self.registrar.lock().expect("no panic"))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(registrar: &Mutex<Registrar>, stop: &AtomicBool, socket: &UdpSocket) {
    let mut buffer = [0; 4096];
    while !stop.load(Relaxed) {
        let Ok((length, source)) = socket.recv_from(&mut buffer) else {
            continue;
        };
        let bytes = bytes::Bytes::copy_from_slice(&buffer[..length]);
        if let Ok((Message::Request(request), _)) = parse::message(bytes) {
            let response = registrar
                .lock()
                .expect("no panic")
                .receive(request, source, Instant::now());
            if let Some(response) = response {
                socket.send_to(&response.to_bytes(), source).expect("sent");
            }
        }
    }
}
