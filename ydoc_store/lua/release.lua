-- Gives a lease back, or leaves the line for it.
local token = ARGV[3]
release(KEYS[1], token)
redis.call('HDEL', KEYS[1], 'w:' .. token)
