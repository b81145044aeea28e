-- All rows of a document.
return redis.call('SMEMBERS', KEYS[1])
