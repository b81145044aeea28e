-- Gives a lease back, or leaves the line for it.
local token = ARGV[3]
release(KEYS[1], token)
if redis.call('HDEL', KEYS[1], 'w:' .. token) == 1 and redis.call('HEXISTS', KEYS[1], 'token') == 0 then wake(KEYS[1]) end
