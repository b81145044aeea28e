-- The name of this store, given to it by the first who asks; lost with the data.
redis.call('SET', KEYS[1], ARGV[3], 'NX')
return redis.call('GET', KEYS[1])
