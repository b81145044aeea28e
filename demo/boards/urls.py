"""The page, signing in and signing out."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from boards import views

urlpatterns = [
    path("", views.home, name="home"),
    path("boards/<str:pk>/", views.board_page, name="board"),
    path("login/", views.Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
]
