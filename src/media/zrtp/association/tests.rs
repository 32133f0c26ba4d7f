mod agreement;
mod cache;
mod forgery;
mod rig;
mod streams;
mod weather;
