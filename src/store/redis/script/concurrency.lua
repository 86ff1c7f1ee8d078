-- concurrency: slots held in all, the latest moment at which some were granted, and who holds them: leases of 28 bytes, those that end first at the front

local LEASE, NOBODYS = 28, string.rep('\0', 16)
local concurrency = {}

local function lease_until(state, at)
    return (unpack_from('<I8', state.held, (at - 1) * LEASE + 17))
end

local function lease_slots(state, at)
    return (unpack_from('<I4', state.held, (at - 1) * LEASE + 25))
end

function concurrency.is_valid(state)
    local count = #state.held / LEASE
    return floor(count) == count and count <= MAX_LEASES and state.slots <= MAX_COUNT and state.latest <= MAX_TIME
        and (count == 0 or lease_until(state, count) <= MAX_TIME)
end

-- How many leases have expired at that moment.
local function expired_leases(state, moment)
    local low, high = 0, #state.held / LEASE
    while low < high do
        local middle = ceil((low + high) / 2)
        if lease_until(state, middle) <= moment then
            low = middle
        else
            high = middle - 1
        end
    end
    return low
end

local function slots_of(state, count)
    local slots = 0
    for at = 1, count do
        slots = slots + lease_slots(state, at)
    end
    return slots
end

-- The slots of the leases that have not expired.
local function slots_held(state, now)
    local expired = expired_leases(state, now)
    if expired == #state.held / LEASE then
        return 0
    end
    return max(state.slots - slots_of(state, expired), 0)
end

local function remove_expired(state, now)
    state.slots = slots_held(state, now)
    state.held = state.held:sub(expired_leases(state, now) * LEASE + 1)
end

local function grant(state, limit, now, lease, slots)
    remove_expired(state, now)
    state.latest = max(state.latest, now)
    local ends = state.latest + limit.length
    local place = expired_leases(state, ends) * LEASE
    state.held = state.held:sub(1, place) .. lease .. pack('<I8I4', ends, slots) .. state.held:sub(place + 1)
    state.slots = min(state.slots + slots, MAX_COUNT)
end

local function release(states, now, lease)
    local released = false
    for _, state in ipairs(states) do
        if state.number == CONCURRENCY then
            remove_expired(state, now)
            local found = lease ~= NOBODYS and state.held:find(lease, 1, true)
            while found and found % LEASE ~= 1 do
                found = state.held:find(lease, found + 1, true)
            end
            if found then
                state.slots = max(state.slots - lease_slots(state, (found - 1) / LEASE + 1), 0)
                state.held = state.held:sub(1, found - 1) .. state.held:sub(found + LEASE)
                released = true
            end
        end
    end
    return released
end

function concurrency.correct(state, limit, now)
    if state.latest - now <= limit.length then
        return false
    end
    state.latest = now
    local ends, held = now + limit.length, {}
    for at = 1, #state.held / LEASE do
        local lease = state.held:sub((at - 1) * LEASE + 1, (at - 1) * LEASE + 16)
        held[at] = lease .. pack('<I8I4', min(lease_until(state, at), ends), lease_slots(state, at))
    end
    state.held = table.concat(held)
    return true
end

function concurrency.admits(state, limit, now, hits)
    return slots_held(state, now) + hits <= limit.requests
end

function concurrency.add() end

function concurrency.refund() end

function concurrency.merge() end

function concurrency.ends(state, limit, now)
    local count = #state.held / LEASE
    return count > 0 and lease_until(state, count) or now
end
