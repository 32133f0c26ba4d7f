//! Built-in phones on rsip, sdp-rs and webrtc-srtp: code that is not ours judges what is.
