//! What Redis does in one step, by its own clock.

/// The first of KEYS with room for one more, or 0. ARGV: limit, lease in milliseconds, member.
pub(super) const TAKE: &str = "local t = redis.call('TIME') \
    local now = t[1] * 1000 + math.floor(t[2] / 1000) \
    local lease = tonumber(ARGV[2]) \
    for i, key in ipairs(KEYS) do \
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now) \
    if redis.call('ZCARD', key) < tonumber(ARGV[1]) then \
    redis.call('ZADD', key, now + lease, ARGV[3]) \
    if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease) end \
    return i end end return 0";
/// Renews, whatever the limit. ARGV: lease in milliseconds, members.
pub(super) const RENEW: &str = "local t = redis.call('TIME') \
    local now = t[1] * 1000 + math.floor(t[2] / 1000) \
    local lease = tonumber(ARGV[1]) \
    for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + lease, ARGV[i]) end \
    if redis.call('PTTL', KEYS[1]) < lease then redis.call('PEXPIRE', KEYS[1], lease) end \
    return 1";
/// Takes a call, if both caps allow it; it counts where there is no cap, too, as others may have one. KEYS: calls, those that began within the last second. ARGV: cap of the
/// first or -1, cap of the second or -1, lease in milliseconds, member. 0: taken; 1, 2: the cap that does not.
pub(super) const ADMIT: &str = "local t = redis.call('TIME') \
    local now = t[1] * 1000 + math.floor(t[2] / 1000) \
    local micros = t[1] * 1000000 + t[2] \
    local calls, rate, lease = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]) \
    if calls >= 0 then \
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now) \
    if redis.call('ZCARD', KEYS[1]) >= calls then return 1 end end \
    if rate >= 0 then \
    redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', micros - 1000000) \
    if redis.call('ZCARD', KEYS[2]) >= rate then return 2 end \
    redis.call('ZADD', KEYS[2], micros, ARGV[4]) \
    redis.call('PEXPIRE', KEYS[2], 1001) end \
    redis.call('ZADD', KEYS[1], now + lease, ARGV[4]) \
    if redis.call('PTTL', KEYS[1]) < lease then redis.call('PEXPIRE', KEYS[1], lease) end \
    return 0";
