// Boost's message queue between two processes, as its documentation uses it: it locks a mutex in shared memory and sleeps on conditions.
//
//   queue round-trip|one-way measurer|peer NAME PROCESSOR COUNT REPETITIONS
//
// The measurer prints nanoseconds for each round, one repetition a line.

#include <sched.h>

#include <array>
#include <boost/interprocess/ipc/message_queue.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

using boost::interprocess::message_queue;
using Message = std::array<std::uint64_t, 8>;

static std::unique_ptr<message_queue> found(const std::string &name) {
    for (;;) {
        try {
            return std::make_unique<message_queue>(boost::interprocess::open_only, name.c_str());
        } catch (const boost::interprocess::interprocess_exception &) {
            std::this_thread::yield();
        }
    }
}

static std::unique_ptr<message_queue> made(const std::string &name) {
    message_queue::remove(name.c_str());
    return std::make_unique<message_queue>(boost::interprocess::create_only, name.c_str(), 1024, sizeof(Message));
}

static void send(message_queue &queue, std::uint64_t number) {
    Message message;
    message.fill(number);
    queue.send(&message, sizeof message, 0);
}

static void receive(message_queue &queue, std::uint64_t expected) {
    Message message;
    message_queue::size_type length = 0;
    unsigned priority = 0;
    queue.receive(&message, sizeof message, length, priority);
    if (length != sizeof message || message[0] != expected || message[7] != expected) {
        std::fprintf(stderr, "another message came\n");
        std::exit(1);
    }
}

int main(int count, char **arguments) {
    if (count != 7) return 2;
    const bool round_trip = std::string(arguments[1]) == "round-trip";
    const bool measures = std::string(arguments[2]) == "measurer";
    const std::string name = arguments[3];
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET(std::atoi(arguments[4]), &processors);
    if (sched_setaffinity(0, sizeof processors, &processors) != 0) return 3;
    const std::uint64_t rounds = std::strtoull(arguments[5], nullptr, 10);
    const int repetitions = std::atoi(arguments[6]);

    const auto there = measures ? made(name + "-there") : found(name + "-there");
    const auto back = measures ? made(name + "-back") : found(name + "-back");
    for (int repetition = 0; repetition <= repetitions; repetition++) {
        const auto begun = std::chrono::steady_clock::now();
        for (std::uint64_t number = 0; number < rounds; number++) {
            if (measures) {
                send(*there, number);
                if (round_trip) receive(*back, number);
            } else {
                receive(*there, number);
                if (round_trip) send(*back, number);
            }
        }
        const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begun;
        if (!round_trip) {
            if (measures) receive(*back, 0);
            else send(*back, 0);
        }
        // The first is for warming up.
        if (measures && repetition > 0) std::printf("%f\n", took.count() / double(rounds));
    }
    if (measures) {
        message_queue::remove((name + "-there").c_str());
        message_queue::remove((name + "-back").c_str());
    }
    return 0;
}
