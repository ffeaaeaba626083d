// TimerQueue: a plain sorted list, until the wheel takes its place. The interface is the wheel's.
#pragma once
#include <gyre/platform/clock.h>
#include <gyre/platform/check.h>
#include <cstddef>
namespace gyre {
class Timer { public: explicit Timer(void (*f)(Timer&) noexcept) noexcept : fire(f) {} bool is_armed() const noexcept { return armed; } void (*fire)(Timer&) noexcept; Timer* n=nullptr; Instant d; bool armed=false; };
class TimerQueue { public: Timer* head=nullptr;
 void arm(Timer& t, Instant d) { t.d=d; t.armed=true; Timer** p=&head; while(*p && (*p)->d<=d) p=&(*p)->n; t.n=*p; *p=&t; }
 void cancel(Timer& t) { for(Timer** p=&head;*p;p=&(*p)->n) if(*p==&t){*p=t.n;break;} t.armed=false; }
 bool empty() const { return !head; } Instant next_deadline() const { return head?head->d:never; }
 std::size_t fire_due(Instant now, std::size_t m) { std::size_t c=0; while(head&&head->d<=now&&c<m){Timer*t=head;head=t->n;t->armed=false;t->fire(*t);++c;} return c; } };
}
