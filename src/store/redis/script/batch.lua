-- A batch

local function read_blocks(raw, position)
    local count
    count, position = unpack_from('<B', raw, position)
    local blocks = { unpack_from('<' .. string.rep('I4', count), raw, position) }
    position = table.remove(blocks)
    local longest = 0
    for at, secs in ipairs(blocks) do
        blocks[at] = secs * 1000000
        longest = max(longest, blocks[at])
    end
    return blocks, longest, position
end

local function read_limits(raw, position, count, active)
    local limits = { has_leases = false }
    for i = 1, count do
        local limit, flags = {}, nil
        limit.number, flags, limit.secs, limit.requests, position = unpack_from('<BBI4I4', raw, position)
        limit.shadow = flags % 2
        limit.length = limit.secs * 1000000
        if limit.number == TOKEN_BUCKET then
            limit.units, limit.refill, limit.capacity, position = unpack_from('<I8I8I8', raw, position)
        elseif limit.number == CALENDAR then
            limit.bounds = { unpack_from('<I8I8I8I8', raw, position) }
            position = table.remove(limit.bounds)
        end
        if flags >= 2 then
            limit.blocks, limit.longest, position = read_blocks(raw, position)
        end
        limit.active = floor(active / 2 ^ (i - 1)) % 2 == 1
        limits.has_leases = limits.has_leases or limit.number == CONCURRENCY
        limits[i] = limit
    end
    return limits, position
end

local function read_hit(raw, position)
    local hit, active, count, has_lease = {}, nil, nil, nil
    hit.counter, hit.kind, hit.always, hit.enforcement, hit.hits, active, count, has_lease, position =
        unpack_from('<I2BBBI4I2BB', raw, position)
    if has_lease == 1 then
        hit.lease = raw:sub(position, position + 15)
        position = position + 16
    end
    hit.limits, position = read_limits(raw, position, count, active)
    if hit.kind == MERGE then
        hit.at_least, hit.remote, hit.here, position = unpack_from('<BI4c0I4c0', raw, position)
    end
    return hit, position
end

local function read_batch(raw)
    local batch, position = { hits = {} }, nil
    batch.atomic, batch.joint, batch.counters, batch.now, position = unpack_from('<BBI2I8', raw)
    while position <= #raw do
        batch.hits[#batch.hits + 1], position = read_hit(raw, position)
    end
    return batch
end

-- What a clock that was ahead by more than a window has written is of now, with its count; see src/limit/count.rs.
local function correct_state(state, limit, now)
    local is_changed = ALGORITHMS[limit.number].correct(state, limit, now)
    return correct_block(state, limit, now) or is_changed
end

local function correct(hit, counter, now)
    for i, limit in ipairs(hit.limits) do
        if limit.active and correct_state(counter.states[i], limit, now) then
            counter.written = true
        end
    end
end

local function refund(hit, counter, now, released)
    if not counter.is_there then
        -- Where nothing was counted there is nothing to give back.
        return
    end
    if hit.lease and hit.limits.has_leases then
        if release(counter.states, now, hit.lease) then
            released[hit.lease] = true
        end
        counter.written = true
    elseif not hit.lease or (released[hit.lease] and not hit.limits.has_leases) then
        for i, limit in ipairs(hit.limits) do
            if limit.active then
                ALGORITHMS[limit.number].refund(counter.states[i], limit, now, hit.hits)
            end
        end
        counter.written = true
    end
end

local function charge(hit, counter, now, scope)
    for i, limit in ipairs(hit.limits) do
        if limit.active then
            local charged
            if hit.always == 1 then
                charged = true
            elseif scope == ONLY_ALWAYS or (scope == WITHOUT_SLOTS and limit.number == CONCURRENCY) then
                charged = false
            else
                charged = not (hit.refused or hit.over[i])
            end
            if charged then
                if limit.number == CONCURRENCY then
                    grant(counter.states[i], limit, now, hit.lease or NOBODYS, hit.hits)
                else
                    ALGORITHMS[limit.number].add(counter.states[i], limit, now, hit.hits)
                end
                counter.written = true
            end
        end
    end
end

local function penalize(hit, counter, now)
    for i, limit in ipairs(hit.limits) do
        local state = counter.states[i]
        if limit.active and limit.blocks and hit.over[i] and not is_blocked(state, limit, now) then
            begin_block(state, limit, now)
            counter.written = true
        end
    end
end

local function try(hit, counter, now, released)
    hit.refused = false
    if hit.kind == REFUND then
        refund(hit, counter, now, released)
    else
        hit.over = {}
        for i, limit in ipairs(hit.limits) do
            if limit.active then
                local state = counter.states[i]
                hit.over[i] = is_blocked(state, limit, now)
                    or not ALGORITHMS[limit.number].admits(state, limit, now, hit.hits)
                hit.refused = hit.refused or (hit.over[i] and limit.shadow == 0)
            end
        end
        charge(hit, counter, now, WHOLE)
        penalize(hit, counter, now)
        -- A counter that is hit is there from then on, charged or not.
        counter.is_there, counter.written = true, counter.written or not counter.is_there
    end
end

-- Whether a peek is refused, as src/limit/check.rs has it.
local function peek(hit, counter, now)
    hit.refused = false
    for i, limit in ipairs(hit.limits) do
        if limit.active and limit.shadow == 0 then
            local is_window = limit.number == FIXED_WINDOW or limit.number == CALENDAR
            local asked = (hit.always == 1 and is_window) and 0 or 1
            local state = counter.states[i]
            if is_blocked(state, limit, now) or not ALGORITHMS[limit.number].admits(state, limit, now, asked) then
                hit.refused = true
            end
        end
    end
end

local function try_all(batch, counters, now)
    local released = {}
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        align(counter, hit.limits)
        correct(hit, counter, now)
        if hit.kind == PEEK then
            peek(hit, counter, now)
        else
            try(hit, counter, now, released)
        end
    end
end

local function is_refused(batch)
    local over, quotas, quotas_over = false, 0, 0
    for _, hit in ipairs(batch.hits) do
        if hit.enforcement == ENFORCED then
            over = over or hit.refused
        elseif hit.enforcement == QUOTA then
            quotas = quotas + 1
            quotas_over = quotas_over + (hit.refused and 1 or 0)
        end
    end
    return over or (quotas > 0 and quotas == quotas_over)
end

-- Takes back what the batch has written, and writes what is written although the request is refused.
local function apply_refused(batch, counters, now)
    for _, counter in ipairs(counters) do
        counter.states, counter.written = counter.raw and read_states(counter.raw) or {}, false
        counter.is_there = true
    end
    local scope = batch.atomic == 1 and ONLY_ALWAYS or WITHOUT_SLOTS
    local released = {}
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        align(counter, hit.limits)
        correct(hit, counter, now)
        if hit.kind == REFUND then
            refund(hit, counter, now, released)
        elseif hit.kind == HITS then
            charge(hit, counter, now, scope)
            penalize(hit, counter, now)
        end
    end
end

-- Releases what a lease holds at counters whose limits are not known here.
local function release_leases(batch, counters, now)
    for _, hit in ipairs(batch.hits) do
        local counter = counters[hit.counter]
        counter.written = release(counter.states, now, hit.lease) or counter.written
    end
end

local function is_aligned(states, limits)
    for i, limit in ipairs(limits) do
        if not states[i] or not belongs_to(states[i], limit) then
            return false
        end
    end
    return #states == #limits
end

-- Adds what was counted elsewhere; where the rule was changed since, nobody is asked for that any more.
local function merge(hit, counter, now)
    if counter.raw and not is_aligned(counter.states, hit.limits) then
        return
    end
    align(counter, hit.limits)
    local remote, here = read_states(hit.remote), read_states(hit.here)
    for i, limit in ipairs(hit.limits) do
        for _, state in ipairs({ counter.states[i], remote[i], here[i] }) do
            correct_state(state, limit, now)
        end
        local state, block = counter.states[i], here[i].block
        if block and block.ends > (state.block and state.block.ends or 0) then
            state.block = block
        end
        local delta = { remote = remote[i], here = here[i], at_least = hit.at_least == 1 }
        -- A time later than now is from a clock that is not trusted.
        ALGORITHMS[limit.number].merge(counter.states[i], limit, now + MAX_AHEAD, delta)
    end
    counter.written = true
end

local function lifetime(counter, now)
    if not counter.limits then
        return 'KEEPTTL'
    end
    local ends = now
    for i, limit in ipairs(counter.limits) do
        local state = counter.states[i]
        ends = max(ends, ALGORITHMS[limit.number].ends(state, limit, now), block_ends(state, limit, now))
    end
    return 'PX', string.format('%.0f', ceil((ends - now) / 1000) + grace)
end

-- A value of another type counts as absent and is replaced.
local function get(key)
    local raw = redis.pcall('GET', key)
    if raw and raw.err then
        return raw.err:find('WRONGTYPE', 1, true) ~= 1 and failed(raw)
    end
    return raw
end

local function put(counter, now)
    local reply = redis.pcall('SET', counter.key, write_states(counter.states), lifetime(counter, now))
    if reply.err then
        return failed(reply)
    end
    return succeeded()
end

for i = next_batch, #ARGV do
    local batch = read_batch(ARGV[i])
    local now = time_of_call(batch.now)
    local counters = {}
    for at = 1, batch.counters do
        local key = KEYS[first + at]
        local raw = get(key)
        local states = raw and raw ~= 0 and decode_or_none(raw)
        found[first + at] = raw == 0 and 0 or states and raw
        raw = states and raw
        counters[at] = { key = key, raw = raw, states = states or {}, is_there = raw or batch.joint == 1 }
    end
    if batch.hits[1].kind == RELEASE then
        release_leases(batch, counters, now)
    elseif batch.hits[1].kind == MERGE then
        merge(batch.hits[1], counters[1], now)
    else
        try_all(batch, counters, now)
        if batch.joint == 1 and is_refused(batch) then
            apply_refused(batch, counters, now)
        end
    end
    for at, counter in ipairs(counters) do
        if counter.written and found[first + at] ~= 0 and put(counter, now) == 0 then
            found[first + at] = 0
        end
    end
    first = first + batch.counters
end
return { server_now, report, unpack(found, 1, #KEYS) }
